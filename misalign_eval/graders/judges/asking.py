"""One judge with one rubric: how it is asked, and what its not answering is called."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from misalign_eval.errors import ProviderFault
from misalign_eval.graders import prompt
from misalign_eval.graders.folders import GraderFolder
from misalign_eval.graders.judges.answers import Answers, is_refusal
from misalign_eval.records.grade import NoVerdict, Subject, UngradedReason, Verdict
from misalign_eval.records.protocols import Choice, JudgeHandle, ModelRequest, Response
from misalign_eval.records.reply import Usage
from misalign_eval.records.suite import Message
from misalign_eval.stats.token_paths import Spelling

ASKS = 3  # an answer that cannot be read is asked for again, up to this many times in all


_OF_THE_METHOD = {"n", "top_logprobs"}  # how a judge is asked, which changes no answer: told where a method needs it


@dataclass(slots=True)
class Habits:
    """What a judge's answers have shown so far of how it writes numbers."""

    spelling: Spelling = field(default_factory=Spelling)
    has_spelt: bool = False  # asked for a long number, to see its tokens
    has_decimals: bool | None = None  # whether it writes `0.95`; None: not seen yet
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class Judge:
    """A rubric in front of a model."""

    folder: GraderFolder
    handle: JudgeHandle
    answers: Answers
    habits: Habits = field(default_factory=Habits, kw_only=True, compare=False)

    def messages(self, subject: Subject) -> tuple[Message, ...]:
        """The rubric, filled in, as the only message."""
        content = prompt.fill(self.folder.rubric, subject, self.folder.spec.sees)
        return (Message(role="user", content=content),)

    def request(self, subject: Subject, **settings: Any) -> ModelRequest:  # noqa: ANN401  the fields of ModelRequest
        """What the judge is asked about a reply."""
        effort = self.handle.spec.sampling.reasoning_effort
        return ModelRequest(messages=self.messages(subject), reasoning_effort=effort, **settings)

    def worded(self, subject: Subject, **settings: Any) -> ModelRequest:  # noqa: ANN401  the fields of ModelRequest
        """What a judge is asked that answers in words: as its grader says, or its user."""
        sampling, given = self.folder.spec.sampling, self.handle.spec.sampling
        limits = {"temperature": sampling.temperature, "max_tokens": sampling.max_tokens}
        return self.request(subject, **limits, top_p=given.top_p, stop=given.stop, **settings)


@dataclass(slots=True)
class Bill:
    """What the answers to one question have cost so far."""

    usages: list[Usage] = field(default_factory=list)
    request_id: str | None = None
    model: str | None = None
    dropped: set[str] = field(default_factory=set)

    def add(self, response: Response) -> None:
        """Count an answer."""
        self.usages.append(response.usage)
        self.request_id = response.request_id
        self.model = response.model
        self.dropped |= set(response.dropped) - _OF_THE_METHOD

    @property
    def paid(self) -> dict[str, Any]:
        """The fields of a verdict that say what it took."""
        return {
            "usage": Usage.total(self.usages),
            "attempts": max(1, len(self.usages)),
            "request_id": self.request_id,
            "model": self.model,
            "dropped": tuple(sorted(self.dropped)),
        }


def silence(choice: Choice) -> UngradedReason | None:
    """Why an answer is none that could be read, as far as the judge's server says."""
    if choice.refusal is not None or choice.finish in ("refusal", "content_filter"):
        return "refused"
    return "truncated" if choice.finish == "length" else None


def words(choice: Choice) -> str:
    """What the judge said, fit to be stored."""
    return prompt.well_formed(choice.text or choice.refusal or "")


def failed(fault: ProviderFault, bill: Bill) -> NoVerdict:
    """No answer came."""
    return NoVerdict(reason="failed", message=f"{fault.reason}: {prompt.well_formed(fault.message)}", **bill.paid)


MESSAGES: dict[UngradedReason, str] = {
    "refused": "the judge, or a filter in front of it, refused to answer",
    "truncated": "the judge's answer was cut off before its verdict",
    "unparsable": "no verdict could be read from the judge's answer",
}

Read = Callable[[str], Verdict | None]


async def ask_until_read(judge: Judge, request: ModelRequest, read: Read) -> Verdict | NoVerdict:
    """Ask for one answer, again when it cannot be read; a refusal is an answer that is not argued with."""
    bill = Bill()
    outcome: Verdict | NoVerdict | None = None
    for _ in range(ASKS):
        try:
            response = await judge.handle.ask(request)
        except ProviderFault as fault:
            return failed(fault, bill)
        bill.add(response)
        outcome = _outcome(response.choices, read)
        if isinstance(outcome, Verdict) or outcome.reason == "refused":
            break
    if outcome is None:  # pragma: no cover  ASKS is at least 1
        raise RuntimeError("the judge was never asked")
    return outcome.model_copy(update=bill.paid)


def _outcome(choices: Sequence[Choice], read: Read) -> Verdict | NoVerdict:
    choice = choices[0]
    raw, reason = words(choice), silence(choice)
    if reason is None and (verdict := read(raw)) is not None:
        return verdict.model_copy(update={"raw": raw})
    reason = reason or ("refused" if is_refusal(raw) else "unparsable")
    return NoVerdict(reason=reason, message=MESSAGES[reason], raw=raw)
