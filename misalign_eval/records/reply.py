"""The rows of replies.jsonl: each planned request ends as exactly one Reply or one Failure."""

import unicodedata
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from misalign_eval.errors import FaultReason
from misalign_eval.records.base import Record
from misalign_eval.records.plan import PlannedPrompt, ReplyKey

Finish = Literal["stop", "length", "refusal", "content_filter", "tool_calls", "unknown"]


END_STRIPPED = "white space at its end left out"
REPEAT_CUT = "repeated by the answer, cut off it"


_UNSEEN = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
_UNSEEN_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # letters and marks without a shape


def is_blank(text: str) -> bool:
    r"""Whether a text shows nothing to a reader: white space, characters of no width, fillers.

    >>> is_blank(" \n"), is_blank("\u200b\u2060\ufeff"), is_blank("."), is_blank("")
    (True, True, False, True)
    """
    return all(char in _UNSEEN_LETTERS or unicodedata.category(char) in _UNSEEN for char in text)


class ToolCall(Record):
    """A call that the target made in place of an answer, or beside it. No tool was offered, and none is run."""

    name: str
    arguments: str = ""  # as the model wrote them, mostly JSON


class Usage(Record):
    """Tokens and money of one or more requests. None is unknown, never zero."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None  # of the input tokens, those read from the provider's cache
    reasoning_tokens: int | None = None  # of the output tokens, those not shown
    cost_usd: float | None = None

    @classmethod
    def total(cls, usages: "Sequence[Usage]") -> "Usage":
        """The sum over several requests. One unknown makes the sum unknown: it is never taken for zero."""
        if len(usages) == 1:
            return usages[0]
        columns = {name: [getattr(usage, name) for usage in usages] for name in cls.model_fields}
        known = {name: values for name, values in columns.items() if values and None not in values}
        return cls(**{name: sum(values) for name, values in known.items()})


class ReplyRow(Record):
    """What both kinds of row carry: the key, and what was asked of whom."""

    probe: str
    prompt: int
    variant: str
    sample: int
    prompt_digest: str
    request_key: str  # prompt_digest, target and every sampling setting; 16 hexadecimal digits
    at: str  # when the row was written, UTC, ISO 8601
    attempts: int = 1

    @property
    def key(self) -> ReplyKey:
        """The planned request that this row ends."""
        return ReplyKey(self.probe, self.prompt, self.variant, self.sample)


class Reply(ReplyRow):
    """One answer of the target. Its text is hostile: show it only through reports.escape."""

    kind: Literal["reply"] = "reply"
    text: str | None = None  # None: not published, as in judgments that came without the replies
    earlier: tuple[str, ...] = ()  # the target's answers to earlier scripted turns, in order
    reasoning: str | None = None
    finish: Finish = "stop"
    finish_word: str | None = None  # the server's own word where it is another; with "unknown": None, it gave none
    calls: tuple[ToolCall, ...] = ()
    leaked: str | None = None  # cut off the text: a token that ends the turn, and what the model went on to write
    refusal: str | None = None  # the provider's own refusal text or category
    usage: Usage = Usage()
    latency_s: float | None = None  # of the last attempt
    model: str | None = None  # as the server named itself
    fingerprint: str | None = None
    request_id: str | None = None
    route: str | None = None  # which upstream a router used
    dropped: tuple[str, ...] = ()  # settings that the target did not take
    streamed: bool | None = None  # True: the answer came as a stream of events; None: whole, or nobody wrote it down
    prefilled: tuple[str, ...] = ()  # how a prefill was sent, END_STRIPPED and REPEAT_CUT where they hold; empty: none

    def whole(self, prompt: PlannedPrompt) -> str | None:
        """The answer as graders see it: the prefill of its prompt, as it was sent, and the text that continues it.

        A conversation that ended at an earlier scripted turn did not come to the prefill.
        """
        prefill = prompt.prefill
        if prefill is None or self.text is None or len(self.earlier) < prompt.scripted:
            return self.text
        return (prefill.rstrip() if END_STRIPPED in self.prefilled else prefill) + self.text

    @property
    def has_unknown_end(self) -> bool:
        """Whether a server that was asked did not say, or not in a known word, that this answer is whole.

        It is graded all the same: some servers never say. Rows of other tools that tell no end (`attempts` 0) are not
        meant.
        """
        return self.finish == "unknown" and (self.attempts > 0 or self.finish_word is not None)


class Failure(ReplyRow):
    """A planned request that got no answer, and why. Never counted as a reply."""

    kind: Literal["failure"] = "failure"
    reason: FaultReason
    message: str
    status: int | None = None
    model: str | None = None  # as the server named itself, where another model than the one asked for has answered


Row = Annotated[Reply | Failure, Field(discriminator="kind")]
ROW: TypeAdapter[Reply | Failure] = TypeAdapter(Row)
