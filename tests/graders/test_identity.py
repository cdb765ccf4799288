from pydantic import JsonValue

from misalign_eval.graders.graders import of_ensemble
from misalign_eval.records.grade import GraderIdentity


def test_an_ensemble_says_what_its_members_see() -> None:
    """So that a person who labels its replies is shown no less and no more."""
    sees: list[JsonValue] = ["question", "reasoning"]
    members = [
        GraderIdentity(grader="g", identity=name, kind="judge", judge=f"acme/{name}", settings={"sees": sees})
        for name in ("one", "two", "three")
    ]
    assert of_ensemble(members).settings["sees"] == sees
    assert of_ensemble(members).identity == of_ensemble(members[::-1]).identity
