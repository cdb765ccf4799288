"""Graders: rule, judge, ensemble, and judges defined by a suite; and the identity of each."""

import asyncio
import inspect
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal, NamedTuple

from pydantic import JsonValue

from misalign_eval.errors import UsageError
from misalign_eval.graders import folder as grader_folder
from misalign_eval.graders import judge, structured_judge
from misalign_eval.graders.folder import GraderFolder, GraderSpec, JudgeSampling, Method, RubricScale, canonical
from misalign_eval.graders.judge import ASKS, TOP_LOGPROBS, Judge, ask_with_retry_on_unreadable
from misalign_eval.graders.judge_answers import JudgeAnswers
from misalign_eval.graders.rules.base import Decide
from misalign_eval.records import headers
from misalign_eval.records.base import digest
from misalign_eval.records.grade import GraderIdentity, NoVerdict, Subject, UngradedReason, Verdict, Vote
from misalign_eval.records.protocols import Grader, GraderFactory, JudgeHandle, JudgeHandles, RuleFunction
from misalign_eval.records.run import Usage
from misalign_eval.records.suite import ANSWER_MARK, QUESTION_MARK, JudgePrompt, JudgeSpec, Message

# Graders of a run: a rule, a judge, or an ensemble of judges.


_METHODS = {
    "logprobs": judge.grade_by_logprobs,
    "sampled": judge.grade_by_samples,
    "rubric": structured_judge.grade_by_rubric,
    "structured": structured_judge.grade_by_json,
}


@dataclass(frozen=True, slots=True)
class RuleGrader:
    """A rule with its options."""

    identity: GraderIdentity
    decide: Decide
    is_slow: bool = False
    requests_per_reply: int = 0

    async def grade(self, subject: Subject) -> Verdict | NoVerdict:
        """Look at one reply; a rule that waits for something does so beside the event loop."""
        if self.is_slow:
            return await asyncio.to_thread(self.decide, subject)
        return self.decide(subject)


@dataclass(frozen=True, slots=True)
class JudgeGrader:
    """A rubric, a judge, and the way its verdict is read."""

    identity: GraderIdentity
    judge: Judge
    method: Method

    @property
    def requests_per_reply(self) -> int:
        """Requests of one grade when every answer can be read."""
        return judge.requests(self.judge) if self.method == "sampled" else 1

    async def grade(self, subject: Subject) -> Verdict | NoVerdict:
        """Ask the judge about one reply; a judge of the reasoning alone is not asked where there is none."""
        sees = self.judge.folder.spec.sees
        if "reply" not in sees and not (subject.reasoning or "").strip():
            message = "the reply came without its reasoning, which is all that this grader reads"
            return NoVerdict(reason="rule_error", message=message, attempts=0)
        return await _METHODS[self.method](self.judge, subject)


@dataclass(frozen=True, slots=True)
class EnsembleGrader:
    """Several judges with one rubric."""

    identity: GraderIdentity
    members: Sequence[Grader]

    @property
    def requests_per_reply(self) -> int:
        """Requests of one grade, over all the judges."""
        return sum(requests_per_reply(member) for member in self.members)

    async def grade(self, subject: Subject) -> Verdict | NoVerdict:
        """Ask every judge and join what they say."""
        return combine_votes([(member.identity, await member.grade(subject)) for member in self.members])


@dataclass(frozen=True, slots=True)
class NamedGrader:
    """A grader of another package under the name that a suite gave it."""

    identity: GraderIdentity
    grader: Grader

    @property
    def requests_per_reply(self) -> int:
        """As many as the grader itself sends."""
        return requests_per_reply(self.grader)

    async def grade(self, subject: Subject) -> Verdict | NoVerdict:
        """Ask the grader."""
        return await self.grader.grade(subject)


def requests_per_reply(grader: Grader) -> int:
    """Number of requests for one grade, for the estimate of a plan; 1 of a foreign judge that does not say."""
    unknown = 0 if grader.identity.kind == "rule" else 1
    return int(getattr(grader, "requests_per_reply", unknown))


def combine_votes(found: Sequence[tuple[GraderIdentity, Verdict | NoVerdict]]) -> Verdict | NoVerdict:
    """The median of the scores, or the label, that more than half of all the judges give; else no verdict.

    Of an odd number of judges the median is the majority at every threshold: one judge that always says 95 cannot
    outvote two that say 5. A judge without a verdict counts as a voice for nothing: two of three that say the same are
    a majority, one of two is not. Every vote is kept.
    """
    votes = tuple(_vote(who, item) for who, item in found)
    kept: dict[str, Any] = {
        "votes": votes,
        "usage": Usage.total([item.usage for _, item in found]),
        "attempts": sum(item.attempts for _, item in found),
        "dropped": tuple(sorted({setting for _, item in found for setting in item.dropped})),
    }
    scores = [vote.score for vote in votes if vote.score is not None]
    labels = Counter(vote.label for vote in votes if vote.label is not None)
    label, most = labels.most_common(1)[0] if labels else (None, 0)
    if 2 * len(scores) > len(votes):
        return Verdict(score=median(scores), why=_spread(scores), **kept)
    if 2 * most > len(votes):
        return Verdict(label=label, why=f"{most} of {len(votes)} judges", **kept)
    return NoVerdict(reason=_reason([item for _, item in found]), message=_said(found), **kept)


def _vote(identity: GraderIdentity, item: Verdict | NoVerdict) -> Vote:
    judge = str(identity.judge)
    if isinstance(item, NoVerdict):
        return Vote(judge=judge, raw=item.raw, model=item.model)
    return Vote(judge=judge, score=item.score, label=item.label, raw=item.raw, model=item.model)


def _spread(scores: Sequence[float]) -> str:
    return f"{len(scores)} scores from {min(scores):g} to {max(scores):g}"


def _reason(found: Sequence[Verdict | NoVerdict]) -> UngradedReason:
    """What kept the judges silent, when any one reason kept half of them; an answer that failed is asked for again."""
    reasons = Counter(verdict.reason for verdict in found if isinstance(verdict, NoVerdict))
    if reasons["failed"]:
        return "failed"
    reason, most = reasons.most_common(1)[0] if reasons else ("disagreement", 0)
    return reason if 2 * most >= len(found) else "disagreement"


def _said(found: Sequence[tuple[GraderIdentity, Verdict | NoVerdict]]) -> str:
    return "; ".join(
        f"{who.judge}: {item.message if isinstance(item, NoVerdict) else item.label or f'{item.score:g}'}"
        for who, item in found
    )


# Identity of a grader: a short name derived from everything that can move a verdict.


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


def of_function(name: str, function: RuleFunction) -> GraderFactory:
    """The factory of a rule that is a Python function. Its identity holds a digest of the source.

    A function that was changed is another grader, so that its grades never mix with those of before.
    """
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError) as error:
        raise UsageError(
            f"rule `{name}`: its source cannot be read, so that its grades could not be told apart"
        ) from error

    def create(judges: JudgeHandles, options: Mapping[str, JsonValue]) -> RuleGrader:
        del judges  # a rule asks none
        given = dict(options)
        settings: dict[str, JsonValue] = {"rule": name, "options": given, "source": digest(source)}
        identity = f"f-{digest(settings)[:12]}"
        return RuleGrader(
            GraderIdentity(grader=name, identity=identity, kind="rule", settings=settings),
            lambda subject: _called(function, subject, given),
        )

    return create


def _called(function: RuleFunction, subject: Subject, options: Mapping[str, JsonValue]) -> Verdict | NoVerdict:
    """Call a user's function; what it raises, or gives back in place of a verdict, is an ungraded reply."""
    try:
        verdict: object = function(subject, options)
    except Exception as error:  # noqa: BLE001  a user's code may raise anything, and the run goes on
        return NoVerdict(reason="rule_error", message=f"{type(error).__name__}: {error}"[:300])
    if isinstance(verdict, Verdict | NoVerdict):
        return verdict
    return NoVerdict(reason="rule_error", message=f"it gave {type(verdict).__name__}, and no Verdict or NoVerdict")


def _settings(folder: GraderFolder, method: Method) -> dict[str, JsonValue]:
    spec = folder.spec
    settings: dict[str, JsonValue] = {
        "method": method,
        "version": spec.version,
        "scale": [spec.scale.min, spec.scale.max] if spec.scale else None,
        "labels": [*sorted(spec.labels)],
        "aliases": dict(sorted(spec.aliases.items())),
        "sees": [*spec.sees],
        "prompt_format": grader_folder.FORMAT,
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


# Judges defined by a suite: their prompts are sent word for word, with question and answer filled in.
#
# Nothing fences the reply, since the prompt is another's and its scores are compared with scores that were made so.
# What the reply says can therefore act on such a judge, as it could on the judge that the prompt was written for.


LONGEST_LABEL = 60  # characters; a judge that was asked for a word and wrote a sentence gave no label
MAX_TOKENS = 1024  # of a judge that answers in words, where its suite does not say
_MARKS = re.compile(f"{re.escape(QUESTION_MARK)}|{re.escape(ANSWER_MARK)}")
_QUOTES = " \t\r\n*_`\"'“”‘’"


class SuiteJudgeName(NamedTuple):
    """A judge of a suite under the name that probes use."""

    name: str
    spec: JudgeSpec


@dataclass(frozen=True, slots=True)
class SuiteJudge(Judge):
    """A judge of a suite in front of a model."""

    own: JudgeSpec

    def messages(self, subject: Subject) -> tuple[Message, ...]:
        """The prompt for this probe, filled in."""
        chosen = self.own.by_probe.get(subject.probe, self.own.prompt)
        return tuple(Message(role=turn.role, content=render(turn.content, subject)) for turn in _messages(chosen))


@dataclass(frozen=True, slots=True)
class LabelGrader:
    """A judge that answers with a word or two, which become the label."""

    identity: GraderIdentity
    judge: SuiteJudge
    requests_per_reply: int = 1

    async def grade(self, subject: Subject) -> Verdict | NoVerdict:
        """Ask until there is a label."""
        own = self.judge.own
        given = self.judge.handle.spec.sampling
        settings = {"temperature": _temperature(own, 0.0), "max_tokens": own.max_tokens or MAX_TOKENS}
        request = self.judge.request(subject, **settings, top_p=given.top_p, stop=given.stop)
        return await ask_with_retry_on_unreadable(self.judge, request, self._read)

    def _read(self, text: str) -> Verdict | None:
        label = label_of(text, self.judge.own.labels)
        return None if label is None else Verdict(label=label)


def suite_judge_as_member(named: SuiteJudgeName, handle: JudgeHandle, method: Method | None) -> Grader:
    """One judge model with the prompt of a suite. `method` forces how numbers are read, where there are numbers."""
    set_here = handle.spec.sampling.model_dump(include={"temperature", "max_tokens"}, exclude_none=True)
    own = named.spec.model_copy(update=set_here)
    how = _method(own, handle, method)
    folder = _as_folder(SuiteJudgeName(named.name, own), how)
    judge = SuiteJudge(folder, handle, JudgeAnswers.of(folder.spec), own)
    identity = of_own_judge(named.name, own, handle, how)
    return LabelGrader(identity, judge) if how == "label" else JudgeGrader(identity, judge, how)


def render(template: str, subject: Subject) -> str:
    """The template with question and answer in their places, in one pass: nothing inside them is looked at again.

    Only what no server takes is changed, as everywhere: half surrogates and NUL become U+FFFD.
    """
    asked = subject.question if subject.asked is None else subject.asked
    material = {QUESTION_MARK: asked, ANSWER_MARK: subject.reply}
    return grader_folder.well_formed(_MARKS.sub(lambda match: material[match[0]], template))


def label_of(text: str, known: tuple[str, ...] = ()) -> str | None:
    """The label that an answer is: one short line, in the spelling of `known` where it is one of them.

    >>> label_of('"True".', ("TRUE", "FALSE")), label_of("A red fox"), label_of("It is a fox. " * 9)
    ('TRUE', 'A red fox', None)
    """
    said = text.strip(_QUOTES).removesuffix(".").strip(_QUOTES)
    if not said or len(said) > LONGEST_LABEL or not said.isprintable():
        return None
    return {canonical(label): label for label in known}.get(canonical(said), said)


def _messages(chosen: JudgePrompt) -> tuple[Message, ...]:
    return (Message(role="user", content=chosen),) if isinstance(chosen, str) else chosen


def _method(own: JudgeSpec, handle: JudgeHandle, force: Method | None) -> OwnMethod:
    if own.kind == "label":
        return "label"
    if force in ("logprobs", "sampled"):
        return force
    return "sampled" if handle.capabilities().logprobs is False else own.kind


def _temperature(own: JudgeSpec, usual: float) -> float:
    return usual if own.temperature is None else own.temperature


def _as_folder(named: SuiteJudgeName, how: OwnMethod) -> GraderFolder:
    """As the code that reads answers knows graders. The rubric stays empty: OwnJudge sends the suite's prompt."""
    own = named.spec
    spec = GraderSpec(
        name=named.name,
        version="own",
        description="a judge of the suite",
        kind="rubric" if how == "label" else how,
        scale=RubricScale(min=own.min, max=own.max),
        labels={} if how == "label" else dict.fromkeys(own.labels, "as the prompt says"),
        sees=("question", "reply"),
        sampling=_sampling(own),
        mass_limit=own.mass_limit,
    )
    return GraderFolder(spec, "", path=NOWHERE)


def _sampling(own: JudgeSpec) -> JudgeSampling:
    """Of a label one answer; several answers at temperature 0 would be one answer several times."""
    temperature = _temperature(own, 1.0)
    samples = 1 if own.kind == "label" or temperature == 0 else own.samples
    return JudgeSampling(temperature=temperature, max_tokens=own.max_tokens or MAX_TOKENS, samples=samples)
