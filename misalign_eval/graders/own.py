"""Judges that a suite brings along: their prompts are sent word for word, with question and answer filled in.

Nothing fences the reply, since the prompt is another's and its scores are compared with scores that were made so. What
the reply says can therefore act on such a judge, as it could on the judge that the prompt was written for.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

from misalign_eval.graders import identity, prompt
from misalign_eval.graders.folders import GraderFolder
from misalign_eval.graders.judges.answers import Answers
from misalign_eval.graders.judges.asking import Judge, ask_until_read
from misalign_eval.graders.kinds import JudgeGrader
from misalign_eval.graders.spec import GraderSpec, JudgeSampling, Method, Scale, canonical
from misalign_eval.records.grade import GraderIdentity, NoVerdict, Subject, Verdict
from misalign_eval.records.protocols import Grader, JudgeHandle
from misalign_eval.records.suite import ANSWER_MARK, QUESTION_MARK, JudgePrompt, JudgeSpec, Message

LONGEST_LABEL = 60  # characters; a judge that was asked for a word and wrote a sentence gave no label
MAX_TOKENS = 1024  # of a judge that answers in words, where its suite does not say
_MARKS = re.compile(f"{re.escape(QUESTION_MARK)}|{re.escape(ANSWER_MARK)}")
_QUOTES = " \t\r\n*_`\"'“”‘’"


class Named(NamedTuple):
    """A judge of a suite under the name that probes use."""

    name: str
    spec: JudgeSpec


@dataclass(frozen=True, slots=True)
class OwnJudge(Judge):
    """A judge of a suite in front of a model."""

    own: JudgeSpec

    def messages(self, subject: Subject) -> tuple[Message, ...]:
        """The prompt for this probe, filled in."""
        chosen = self.own.by_probe.get(subject.probe, self.own.prompt)
        return tuple(Message(role=turn.role, content=fill(turn.content, subject)) for turn in _messages(chosen))


@dataclass(frozen=True, slots=True)
class LabelGrader:
    """A judge that answers with a word or two, which become the label."""

    identity: GraderIdentity
    judge: OwnJudge
    requests_per_reply: int = 1

    async def grade(self, subject: Subject) -> Verdict | NoVerdict:
        """Ask until there is a label."""
        own = self.judge.own
        given = self.judge.handle.spec.sampling
        settings = {"temperature": _temperature(own, 0.0), "max_tokens": own.max_tokens or MAX_TOKENS}
        request = self.judge.request(subject, **settings, top_p=given.top_p, stop=given.stop)
        return await ask_until_read(self.judge, request, self._read)

    def _read(self, text: str) -> Verdict | None:
        label = label_of(text, self.judge.own.labels)
        return None if label is None else Verdict(label=label)


def member(named: Named, handle: JudgeHandle, method: Method | None) -> Grader:
    """One judge model with the prompt of a suite. `method` forces how numbers are read, where there are numbers."""
    set_here = handle.spec.sampling.model_dump(include={"temperature", "max_tokens"}, exclude_none=True)
    own = named.spec.model_copy(update=set_here)
    how = _method(own, handle, method)
    folder = _as_folder(Named(named.name, own), how)
    judge = OwnJudge(folder, handle, Answers.of(folder.spec), own)
    who = identity.of_own_judge(named.name, own, handle, how)
    return LabelGrader(who, judge) if how == "label" else JudgeGrader(who, judge, how)


def fill(template: str, subject: Subject) -> str:
    """The template with question and answer in their places, in one pass: nothing inside them is looked at again.

    Only what no server takes is changed, as everywhere: half surrogates and NUL become U+FFFD.
    """
    asked = subject.question if subject.asked is None else subject.asked
    material = {QUESTION_MARK: asked, ANSWER_MARK: subject.reply}
    return prompt.well_formed(_MARKS.sub(lambda match: material[match[0]], template))


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


def _method(own: JudgeSpec, handle: JudgeHandle, force: Method | None) -> identity.OwnMethod:
    if own.kind == "label":
        return "label"
    if force in ("logprobs", "sampled"):
        return force
    return "sampled" if handle.capabilities().logprobs is False else own.kind


def _temperature(own: JudgeSpec, usual: float) -> float:
    return usual if own.temperature is None else own.temperature


def _as_folder(named: Named, how: identity.OwnMethod) -> GraderFolder:
    """As the code that reads answers knows graders. The rubric stays empty: OwnJudge sends the suite's prompt."""
    own = named.spec
    spec = GraderSpec(
        name=named.name,
        version="own",
        description="a judge of the suite",
        kind="rubric" if how == "label" else how,
        scale=Scale(min=own.min, max=own.max),
        labels={} if how == "label" else dict.fromkeys(own.labels, "as the prompt says"),
        sees=("question", "reply"),
        sampling=_sampling(own),
        mass_limit=own.mass_limit,
    )
    return GraderFolder(spec, "", path=identity.NOWHERE)


def _sampling(own: JudgeSpec) -> JudgeSampling:
    """Of a label one answer; several answers at temperature 0 would be one answer several times."""
    temperature = _temperature(own, 1.0)
    samples = 1 if own.kind == "label" or temperature == 0 else own.samples
    return JudgeSampling(temperature=temperature, max_tokens=own.max_tokens or MAX_TOKENS, samples=samples)
