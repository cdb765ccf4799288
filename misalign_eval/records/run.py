"""Records of a run: manifest, planned prompts, replies and failures, dry run."""

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field, JsonValue, TypeAdapter

from misalign_eval.errors import FaultReason
from misalign_eval.records.base import Record, digest
from misalign_eval.records.definition import Definition
from misalign_eval.records.headers import WrittenHeaders
from misalign_eval.records.policy import Stopping
from misalign_eval.records.suite import (
    MOST_SAMPLES,
    PLAIN,
    REPLY_MARK,
    Direction,
    Message,
    OwnGrader,
    Sampling,
    Split,
    prefill_of,
)

# Planned prompts: the same for the same suite, choices and seed.


class CellKey(NamedTuple):
    """Names one cell of a run: a prompt in one variant. Its samples are the replies of the cell."""

    probe: str
    prompt: int  # index of the paraphrase, from 0
    variant: str


class ReplyKey(NamedTuple):
    """Names one reply of a run."""

    probe: str
    prompt: int  # index of the paraphrase, from 0
    variant: str
    sample: int  # from 0

    @property
    def cell(self) -> CellKey:
        """The cell that the reply is a sample of."""
        return CellKey(self.probe, self.prompt, self.variant)

    def __str__(self) -> str:
        """`power-city-for-a-day/0/plain#3`."""
        return f"{self.probe}/{self.prompt}/{self.variant}#{self.sample}"


class PlannedPrompt(Record):
    """One form of one probe, and how many replies it gets. A line of plan.jsonl."""

    probe: str
    prompt: int
    variant: str = PLAIN
    category: str
    split: Split
    tags: tuple[str, ...] = ()
    expect: Direction | None = None
    system: str | None = None
    # Without the system prompt; the last is a user turn or a prefill; REPLY_MARK turns are asked for. Empty: the words
    # are not known (an imported run that names its questions only by id), and the id of its probe pairs such a prompt.
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    samples: Annotated[int, Field(ge=0, le=MOST_SAMPLES)]
    graders: tuple[str, ...]
    criteria: str | None = None
    reference: JsonValue = None
    expects: str | None = None  # "json" or "code": what the variant asked for
    prompt_digest: str  # system, messages and variant, not the model; 16 hexadecimal digits

    @property
    def cell(self) -> CellKey:
        """The key that this prompt shares with its replies and their grades."""
        return CellKey(self.probe, self.prompt, self.variant)

    @property
    def prefill(self) -> str | None:
        """The beginning of the answer, which the target was to continue; None where it was to answer from the start."""
        return prefill_of(self.messages)

    @property
    def scripted(self) -> int:
        """How many turns the target answers before the last one."""
        return sum(turn.role == "assistant" and turn.content == REPLY_MARK for turn in self.messages)

    @property
    def turns(self) -> tuple[Message, ...]:
        """The messages without the prefill."""
        return self.messages if self.prefill is None else self.messages[:-1]


JUDGE_CONTROL = "judge-control"


class PlannedControl(Record):
    """A written reply for the judges: its `prompt` is never sent to the target."""

    prompt: PlannedPrompt
    expect: Direction
    reply: str
    reasoning: str | None = None


class RunPlanRecord(Record):
    """Every prompt of a run in the order of collection: round by round, one sample of each prompt a round."""

    suite: str
    suite_version: str
    suite_digest: str
    overridden: dict[str, JsonValue] = {}  # sampling that flags or settings set in place of the suite's
    definition: Definition
    rules: dict[str, OwnGrader] = {}
    seed: int | None = None  # None: no seed is sent; the order is that of seed 0
    prompts: tuple[PlannedPrompt, ...]
    controls: tuple[PlannedControl, ...] = ()  # for the judges; not asked of the target

    @property
    def replies(self) -> int:
        """How many replies are planned in all."""
        return sum(prompt.samples for prompt in self.prompts)


# The manifest, run.json: suite, target, settings and versions. It holds no counts; those are read from the rows.


MOST_SHARDS = 100_000
FORMAT_VERSION = 1
# 1: first format


def _moment(text: str) -> str:
    datetime.fromisoformat(text)  # raises ValueError
    return text


class TargetInfo(Record):
    """The model under test, as it was addressed. No key, no user name, no query string."""

    provider: str
    model: str
    host: str  # host and port; "" for targets without a network
    options: dict[str, JsonValue] = {}
    given: str | None = None  # its name in misalign-eval.yaml
    served_as: tuple[str, ...] = ()  # names and patterns that were accepted for the model that answers
    headers: WrittenHeaders | None = None  # extra request headers; None: none were sent

    @property
    def name(self) -> str:
        """`provider/model`, as on the command line."""
        return f"{self.provider}/{self.model}"

    @property
    def called(self) -> str:
        """By the name that the user gave it, with the model behind it."""
        return f"{self.given} ({self.name})" if self.given else self.name

    @property
    def digest(self) -> str:
        """16 hexadecimal digits over provider, model, options and headers; the host is left out: a server may move."""
        headers = [self.headers.model_dump(mode="json")] if self.headers else []
        return digest([self.provider, self.model, dict(self.options), *headers])


class Shard(Record):
    """A part of a plan: every `count`-th prompt from number `index` on, both counted from 1."""

    index: Annotated[int, Field(gt=0)]
    count: Annotated[int, Field(gt=0, le=MOST_SHARDS)]

    def __str__(self) -> str:
        """`2/4`, as on the command line."""
        return f"{self.index}/{self.count}"


class RunManifest(Record):
    """The content of run.json."""

    format: int = FORMAT_VERSION
    tool_version: str
    created: Annotated[str, AfterValidator(_moment)]  # UTC, ISO 8601
    name: str
    suite: str
    suite_version: str
    suite_digest: str
    suite_file: str
    definition: Definition
    definition_digest: str
    target: TargetInfo
    rules: dict[str, OwnGrader] = {}  # graders that the suite configured itself
    canary: str | None = None  # of the suite
    seed: int | None = None
    overrides: dict[str, JsonValue] = {}  # --samples, --temperature …; sampling also by the settings of the target
    mapped: dict[str, str] = {}  # --map as given: columns of a question table
    selection: dict[str, JsonValue] = {}  # --tag, --category, --probe, --limit as given
    stopping: Stopping | None = None  # the rule of --stop-when-decided
    primary: dict[str, str] = {}  # grader → identity whose grades are reported
    shard: Shard | None = None  # the part that this folder was to collect; the plan beside it is that of all shards
    labels: dict[str, str] = {}  # step, group …: free labels of the user
    versions: dict[str, str] = {}  # Python, SDKs
    git_commit: str | None = None
    example: bool = False  # ships with the package: what only reads it leaves it as it is
    controls: tuple[PlannedControl, ...] = ()  # written replies that the judges read beside those of the target
    planned_prompts: int
    planned_replies: int

    @property
    def mark(self) -> str:
        """What tells this run from any other, wherever its folder lies: the target, and when it began."""
        return f"{self.target.name} of {self.created}"


# Rows of replies.jsonl: each planned request ends as exactly one Reply or one Failure.


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

    @property
    def cell(self) -> CellKey:
        """The prompt and variant that this row answers."""
        return CellKey(self.probe, self.prompt, self.variant)


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


# Dry runs.


class FirstRequest(Record):
    """A request exactly as it would leave, but for the seed of its sample."""

    probe: str
    prompt: int
    variant: str
    samples: int
    messages: tuple[Message, ...]
    prefill: str | None = None  # what the last answer begins with; a scripted conversation comes to it later
    sampling: Sampling


Reads = Literal["logprobs", "sampled", "rubric", "structured", "label", "unknown"]


class ExpectedAnswer(Record):
    """What one judge is expected to write for one reply, when every answer can be read. Tokens are of one answer."""

    grader: str
    judge: str  # provider/model
    reads: Reads  # how its verdict is read
    requests: int
    answers: int  # of a sampled score several, in one request where the judge takes `n`
    tokens: int  # assumed
    tokens_most: int | None  # its limit; None: left to the server

    @property
    def most_written(self) -> int | None:
        """Tokens of all its answers to one reply, each as long as it may be; None where it has no limit."""
        return None if self.tokens_most is None else self.answers * self.tokens_most


class DryRun(Record):
    """One planned run: counts are exact, tokens and money estimated; None is unknown."""

    suite: str
    suite_version: str
    definition: str
    target: str
    judges: tuple[str, ...]
    target_headers: tuple[str, ...] = ()  # names of extra request headers
    judge_headers: dict[str, tuple[str, ...]] = {}  # the same by judge; of those that are sent any
    folder: str
    seed: int | None
    prompts: int
    replies: int
    target_requests: int
    judge_requests: int
    target_input_tokens: int
    target_output_tokens: int
    target_output_tokens_most: int | None
    judge_input_tokens: int
    judge_output_tokens: int
    judge_output_tokens_most: int | None  # if every answer ran to its limit; None where one has none
    judge_answers: tuple[ExpectedAnswer, ...] = ()
    cost_usd: float | None
    first: tuple[FirstRequest, ...]
