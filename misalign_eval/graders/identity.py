"""Who graded: everything that can move a verdict, in one short name."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import JsonValue

from misalign_eval.graders import prompt
from misalign_eval.graders.folders import GraderFolder
from misalign_eval.graders.judges.asking import ASKS
from misalign_eval.graders.judges.logprobs import TOP_LOGPROBS
from misalign_eval.graders.spec import Method
from misalign_eval.records import headers
from misalign_eval.records.digest import digest
from misalign_eval.records.grade import GraderIdentity
from misalign_eval.records.protocols import JudgeHandle
from misalign_eval.records.suite import JudgeSpec

LENGTH = 12  # of a judge's identity, in hexadecimal digits
NOWHERE = Path()  # of a grader that lies in no folder
OwnMethod = Literal["logprobs", "sampled", "label"]


def of_judge(folder: GraderFolder, judge: JudgeHandle, method: Method) -> GraderIdentity:
    """A judge grader's identity: 12 hexadecimal digits over grader, rubric, judge and settings.

    The host is recorded but is no part of it: the same model behind another port or proxy is the same measurement, and
    a run resumed from another machine must find its grades. Of the provider's options only a digest is kept, since
    nobody can promise that they hold no secret.
    """
    settings = _settings(folder, method) | _given(judge, method) | _of_provider(judge)
    about: list[JsonValue] = [folder.spec.name, folder.spec.version, folder.rubric_digest, judge.spec.name, settings]
    return GraderIdentity(
        grader=folder.spec.name,
        identity=digest(about)[:LENGTH],
        kind="judge",
        judge=judge.spec.name,
        host=judge.host,
        rubric_digest=folder.rubric_digest,
        settings=settings,
    )


def of_own_judge(name: str, own: JudgeSpec, judge: JudgeHandle, method: OwnMethod) -> GraderIdentity:
    """The identity of a judge that a suite brings along: its prompts take the place of a rubric."""
    settings: dict[str, JsonValue] = {"method": method, "fill": "word for word", **_asked_of_own(own, method)}
    if method != "label":
        settings["scale"] = [own.min, own.max]
    settings["labels"] = [*sorted(own.labels)]
    settings |= _given(judge, method) | _of_provider(judge)
    prompts = digest(own.model_dump(mode="json", include={"prompt", "by_probe"}))
    about: list[JsonValue] = [name, prompts, judge.spec.name, settings]
    return GraderIdentity(
        grader=name,
        identity=digest(about)[:LENGTH],
        kind="judge",
        judge=judge.spec.name,
        host=judge.host,
        rubric_digest=prompts,
        settings=settings,
    )


def _asked_of_own(own: JudgeSpec, method: OwnMethod) -> dict[str, JsonValue]:
    if method == "logprobs":
        return {"temperature": 0.0, "max_tokens": 1, "top_logprobs": TOP_LOGPROBS, "mass_limit": own.mass_limit}
    often: dict[str, JsonValue] = {"asks": ASKS} if method == "label" else {"samples": own.samples}
    return {"temperature": own.temperature, "max_tokens": own.max_tokens, **often}


def of_ensemble(members: Sequence[GraderIdentity]) -> GraderIdentity:
    """Several judges as one; the order in which they are named means nothing."""
    ordered = sorted(members, key=lambda member: member.identity)
    return GraderIdentity(
        grader=ordered[0].grader,
        identity=digest(["median", *(member.identity for member in ordered)])[:LENGTH],
        kind="ensemble",
        judge=" + ".join(str(member.judge) for member in members),
        host=" + ".join(str(member.host) for member in members),
        rubric_digest=ordered[0].rubric_digest,
        settings={
            "members": [{"judge": member.judge, "identity": member.identity} for member in ordered],
            **{name: value for name, value in ordered[0].settings.items() if name in {"sees", "scale"}},
        },
    )


def of_rule(name: str, rule: str, version: int, options: Mapping[str, JsonValue]) -> GraderIdentity:
    """A rule's version, `v1`; with options `v1-` and 8 hexadecimal digits, so that other options are another grader."""
    tail = f"-{digest(dict(options))[:8]}" if options else ""
    return GraderIdentity(
        grader=name,
        identity=f"v{version}{tail}",
        kind="rule",
        settings={"rule": rule, "options": dict(options)},
    )


def _settings(folder: GraderFolder, method: Method) -> dict[str, JsonValue]:
    spec = folder.spec
    settings: dict[str, JsonValue] = {
        "method": method,
        "version": spec.version,
        "scale": [spec.scale.min, spec.scale.max] if spec.scale else None,
        "labels": [*sorted(spec.labels)],
        "aliases": dict(sorted(spec.aliases.items())),
        "sees": [*spec.sees],
        "prompt_format": prompt.FORMAT,
    }
    return settings | _asked(folder, method)


def _given(judge: JudgeHandle, method: Method | OwnMethod) -> dict[str, JsonValue]:
    """What the user set for every request to this judge beside what graders say."""
    names = {"reasoning_effort"} if method == "logprobs" else {"reasoning_effort", "top_p", "stop"}
    return judge.spec.sampling.model_dump(mode="json", include=names, exclude_none=True)


def _of_provider(judge: JudgeHandle) -> dict[str, JsonValue]:
    """What its provider was set to in the settings file, where it was: a digest of options, and headers by name."""
    settings: dict[str, JsonValue] = {}
    if judge.spec.options:
        settings["options_digest"] = digest(dict(judge.spec.options))[:LENGTH]
    if (found := headers.written(judge.spec.headers)) is not None:
        settings["headers"] = found.model_dump(mode="json")
    return settings


def _asked(folder: GraderFolder, method: Method) -> dict[str, JsonValue]:
    sampling = folder.spec.sampling
    if method == "logprobs":
        return {
            "temperature": 0.0,
            "max_tokens": 1,
            "top_logprobs": TOP_LOGPROBS,
            "mass_limit": folder.spec.mass_limit,
        }
    often: dict[str, JsonValue] = {"samples": sampling.samples} if method == "sampled" else {"asks": ASKS}
    return {"temperature": sampling.temperature, "max_tokens": sampling.max_tokens, **often}
