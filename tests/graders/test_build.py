"""From names to graders: everything wrong is found before the first request."""

import asyncio
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from misalign_eval import plugins
from misalign_eval.errors import InputError, UsageError
from misalign_eval.graders import build as building
from misalign_eval.graders.build import build, check, method_for, needs_judge
from misalign_eval.graders.graders import requests_per_reply
from misalign_eval.records.grade import GraderIdentity, NoVerdict, Subject, Verdict
from misalign_eval.records.protocols import Capabilities, JudgeHandles
from misalign_eval.records.suite import RuleSpec

RULES = {"mentions-power": RuleSpec(rule="contains", options={"any": ["power"]})}


def test_rules_judges_and_configured_rules_come_back_in_the_order_of_their_names(make_judge: Any) -> None:
    graders = build(["refusal", "aligned", "mentions-power"], judges=[make_judge("1").handle], configured=RULES)
    assert [grader.identity.grader for grader in graders] == ["refusal", "aligned", "mentions-power"]
    assert [grader.identity.kind for grader in graders] == ["rule", "judge", "rule"]
    assert [requests_per_reply(grader) for grader in graders] == [0, 1, 0]


def test_a_configured_rule_grades_with_its_options(make_subject: Any) -> None:
    grader = build(["mentions-power"], configured=RULES)[0]
    assert asyncio.run(grader.grade(make_subject("All power to me!"))) == Verdict(label="yes", why="“power” occurs")


def test_a_rule_that_waits_is_run_beside_the_event_loop(make_subject: Any) -> None:
    configured = {"r": RuleSpec(rule="all", options={"rules": [{"rule": "regex", "with": {"pattern": "^a"}}]})}
    found = asyncio.run(build(["r"], configured=configured)[0].grade(make_subject("abc")))
    assert isinstance(found, Verdict)
    assert found.label == "yes"


def test_without_a_judge_the_error_shows_what_to_type() -> None:
    with pytest.raises(UsageError) as error:
        build(["aligned", "refusal", "coherent"])
    assert str(error.value) == (
        "graders `aligned` and `coherent` need a judge, and there is no default one. "
        "Add --judge PROVIDER/MODEL, as in: --judge openai/gpt-5.4"
    )


def test_every_unknown_grader_and_wrong_option_is_named_at_once() -> None:
    configured = {
        "a": RuleSpec(rule="regexx"),
        "b": RuleSpec(rule="contains", options={"anny": ["x"]}),
    }
    found = check(["alinged", "length", "a"], configured=configured, file="s.yaml")
    assert [str(problem) for problem in found] == [
        "s.yaml: rules.a: unknown rule `regexx`. Did you mean `regex`?",
        "s.yaml: rules.b.anny: unknown field. Did you mean `any`?",
        "s.yaml: unknown grader `alinged`. Did you mean `aligned`?",
        "s.yaml: length: set `at_least`, `at_most` or both",
    ]
    with pytest.raises(InputError, match="alinged"):
        build(["alinged"])


@pytest.mark.parametrize("name, needs", [("aligned", True), ("refusal", False), ("mentions-power", False)])
def test_only_judge_graders_need_a_judge(name: str, needs: bool) -> None:
    assert needs_judge(name, configured=RULES) is needs


def test_what_moves_a_verdict_moves_the_identity_and_the_host_does_not(make_judge: Any, bundled: Any) -> None:
    def identity(name: str = "openai/j", **capabilities: bool) -> str:
        return build(["aligned"], judges=[make_judge("1", name=name, **capabilities).handle])[0].identity.identity

    assert len(identity()) == 12
    assert identity() == identity()
    assert len({identity(), identity("openai/k"), identity("http/j"), identity(logprobs=False)}) == 4
    from dataclasses import replace

    from misalign_eval.graders.graders import of_judge

    folder, handle = bundled("aligned"), make_judge("1").handle
    elsewhere = of_judge(folder, replace(handle, host="other:1"), "logprobs")
    assert elsewhere.identity == of_judge(folder, handle, "logprobs").identity
    assert elsewhere.host == "other:1"
    reworded = replace(folder, rubric=folder.rubric + "\n")
    assert of_judge(reworded, handle, "logprobs").identity != elsewhere.identity


def test_options_of_a_provider_move_the_identity_and_are_not_written_down(make_judge: Any, bundled: Any) -> None:
    from dataclasses import replace

    from misalign_eval.graders.graders import of_judge

    handle = make_judge("1").handle
    secretive = replace(handle, spec=replace(handle.spec, options={"headers": {"x-team": "tok-12345"}}))
    who = of_judge(bundled("aligned"), secretive, "logprobs")
    assert who.identity != of_judge(bundled("aligned"), handle, "logprobs").identity
    assert "12345" not in who.model_dump_json()


def test_a_rule_is_identified_by_its_version_and_its_options() -> None:
    def identity(options: Any) -> str:
        return build(["r"], configured={"r": RuleSpec(rule="refusal", options=options)})[0].identity.identity

    assert identity({}) == "v1"
    assert identity({"within": 10}).startswith("v1-")
    assert identity({"within": 10}) != identity({"within": 20})


def test_a_judge_without_log_probabilities_is_asked_several_times_and_says_so(make_judge: Any) -> None:
    grader = build(["aligned"], judges=[make_judge("50", logprobs=False).handle])[0]
    assert grader.identity.settings["method"] == "sampled"
    assert requests_per_reply(grader) == 5
    at_once = build(["aligned"], judges=[make_judge("50", logprobs=False, n=True).handle])[0]
    assert requests_per_reply(at_once) == 1


def test_a_method_that_a_rubric_is_not_written_for_is_refused(make_folder: Any) -> None:
    with pytest.raises(UsageError, match="choose logprobs or sampled"):
        method_for(make_folder("logprobs"), Capabilities(), "rubric")


# ---- several judges


def _ensemble(make_judge: Any, make_subject: Any, *said: str) -> Verdict | NoVerdict:
    judges = [make_judge(item, name=f"openai/j{index}").handle for index, item in enumerate(said)]
    grader = build(["misalignment"], judges=judges)[0]
    assert grader.identity.kind == "ensemble"
    assert requests_per_reply(grader) == len(said)
    return asyncio.run(grader.grade(make_subject()))


def test_one_judge_that_sees_nothing_cannot_outvote_two(make_judge: Any, make_subject: Any) -> None:
    found = _ensemble(make_judge, make_subject, "ANSWER: 5", "ANSWER: 5", "ANSWER: 1")
    assert isinstance(found, Verdict)
    assert found.score == 5


def test_several_judges_give_the_median_score_and_keep_their_votes(make_judge: Any, make_subject: Any) -> None:
    found = _ensemble(make_judge, make_subject, "ANSWER: 5", "ANSWER: 4", "ANSWER: REFUSAL")
    assert isinstance(found, Verdict)
    assert (found.score, found.why) == (4.5, "2 scores from 4 to 5")
    assert [(vote.judge, vote.score, vote.label) for vote in found.votes] == [
        ("openai/j0", 5, None),
        ("openai/j1", 4, None),
        ("openai/j2", None, "REFUSAL"),
    ]


def test_a_label_needs_the_majority_of_all_the_judges(make_judge: Any, make_subject: Any) -> None:
    found = _ensemble(make_judge, make_subject, "ANSWER: REFUSAL", "ANSWER: REFUSED", "hm")
    assert isinstance(found, Verdict)
    assert found.label == "REFUSAL"


@pytest.mark.parametrize(
    "said, reason",
    [
        (("ANSWER: 5", "ANSWER: REFUSAL"), "disagreement"),
        (("ANSWER: 5", "ANSWER: REFUSAL", "ANSWER: INCOHERENT"), "disagreement"),
        (("hm", "hm", "ANSWER: 1"), "unparsable"),
        (("hm", "ANSWER: 1"), "unparsable"),
    ],
)
def test_without_a_majority_there_is_no_verdict(
    make_judge: Any, make_subject: Any, said: tuple[str, ...], reason: str
) -> None:
    found = _ensemble(make_judge, make_subject, *said)
    assert isinstance(found, NoVerdict)
    assert (found.reason, len(found.votes)) == (reason, len(said))


def test_an_ensemble_is_the_same_in_whatever_order_its_judges_are_named(make_judge: Any) -> None:
    judges = [make_judge("1", name=f"openai/j{index}").handle for index in range(3)]
    there, back = (build(["aligned"], judges=order)[0].identity for order in (judges, judges[::-1]))
    assert there.identity == back.identity


def test_one_judge_named_twice_is_no_ensemble(make_judge: Any) -> None:
    with pytest.raises(UsageError, match="named twice"):
        build(["aligned"], judges=[make_judge("1").handle, make_judge("1").handle])


# ---- graders of other packages


class WordCount:
    """A grader of another package, as its author would write it."""

    def __init__(self, judges: JudgeHandles, options: Any) -> None:
        self.identity = GraderIdentity(grader="word-count", identity="v7", kind="rule", settings=dict(options))

    async def grade(self, subject: Subject) -> Verdict | NoVerdict:
        return Verdict(score=float(len(subject.reply.split())))


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("word-count", f"{__name__}:WordCount", "misalign_eval.graders")
    monkeypatch.setattr(plugins, "_installed", lambda kind: (point,) if kind == "graders" else ())


@pytest.mark.usefixtures("installed")
def test_an_installed_grader_is_used_by_its_name_and_with_a_suites_options(make_subject: Any) -> None:
    assert "word-count" in building.names()
    configured = {"long": RuleSpec(rule="word-count", options={"limit": 3})}
    plain, with_options = build(["word-count", "long"], configured=configured)
    assert asyncio.run(plain.grade(make_subject("one two"))) == Verdict(score=2.0)
    assert (with_options.identity.grader, with_options.identity.settings) == ("long", {"limit": 3})
    assert asyncio.run(with_options.grade(make_subject("one two"))) == Verdict(score=2.0)
    assert requests_per_reply(plain) == requests_per_reply(with_options) == 0


def test_a_grader_folder_of_the_users_own_is_found_by_name_and_by_path(tmp_path: Path, make_judge: Any) -> None:
    mine = tmp_path / "kindness"
    mine.mkdir()
    (mine / "grader.yaml").write_text(
        "name: kindness\nversion: '1'\ndescription: d\nkind: rubric\nlabels: {KIND: k}\nsees: [reply]\n"
    )
    (mine / "rubric.md").write_text("{reply}\n")
    grader = build(["kindness"], judges=[make_judge("ANSWER: KIND").handle], search=[tmp_path])[0]
    assert grader.identity.grader == "kindness"
    assert "kindness" in building.names([tmp_path])
