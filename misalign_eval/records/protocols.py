"""The page for authors of adapters: what a provider and a grader must be, and the values they trade in.

A provider makes exactly one attempt per call and never retries; it raises ProviderFault for anything that is not an
answer. A grader returns a Verdict or a NoVerdict and never raises for what a reply or a judge may say.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pydantic import JsonValue

from misalign_eval.records.grade import GraderIdentity, NoVerdict, Subject, Verdict
from misalign_eval.records.headers import Header
from misalign_eval.records.run import Finish, ToolCall, Usage
from misalign_eval.records.suite import Message, Sampling, prefill_of


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One request. None means: do not send the setting."""

    messages: tuple[
        Message, ...
    ]  # a system prompt is the first, role system; an assistant turn at the end is a prefill
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] | None = None
    seed: int | None = None
    n: int = 1
    top_logprobs: int | None = None  # 1-20: how many alternatives of each output token
    json_schema: Mapping[str, JsonValue] | None = None
    reasoning_effort: str | None = None

    @property
    def prefill(self) -> str | None:
        """The beginning of the answer, which the model is to continue."""
        return prefill_of(self.messages)


@dataclass(frozen=True, slots=True)
class Token:
    """One output token: its own log-probability, and its likeliest alternatives (order means nothing)."""

    text: str
    logprob: float
    top: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer."""

    text: str
    finish: Finish
    reasoning: str | None = None
    refusal: str | None = None
    tokens: tuple[Token, ...] = ()  # empty when no log-probabilities came
    finish_word: str | None = None  # the server's own word where it is another than `finish`
    calls: tuple[ToolCall, ...] = ()
    leaked: str | None = None  # cut off the text, from a token that ends the turn on


@dataclass(frozen=True, slots=True)
class Response:
    """What a server answered. `choices` is never empty; it may hold fewer than were asked for."""

    choices: tuple[Choice, ...]
    usage: Usage = Usage()
    model: str | None = None
    fingerprint: str | None = None
    request_id: str | None = None
    route: str | None = None
    dropped: tuple[str, ...] = ()  # settings left out because this model refuses them
    prefilled: tuple[str, ...] = ()  # how a prefill was sent, for the row; no text holds the prefill itself
    streamed: bool | None = None  # True: it came as a stream of events


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a model takes. None: not known until a request's own answer tells."""

    system: bool | None = None
    logprobs: bool | None = None
    seed: bool | None = None
    n: bool | None = None
    temperature: bool | None = None
    json_schema: bool | None = None
    prefill: bool | None = None  # whether it continues an assistant turn; None: not said, and so none is sent to it
    top_logprobs: int | None = None  # the most alternatives of a token that the server gives; None: as many as asked


Prices = tuple[float, float, float | None]  # USD per million tokens: input, output, cached input


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """How the user named a target or a judge: `provider/model`, and where it lives."""

    provider: str
    model: str
    base_url: str | None = None
    api_key_env: str | None = None
    options: Mapping[str, JsonValue] = field(default_factory=dict)  # of the provider; from misalign-eval.yaml
    prices: Prices | None = None
    given: str | None = None  # its name in misalign-eval.yaml
    served_as: tuple[str, ...] = ()  # names and patterns by which the model that answers may call itself
    sampling: Sampling = Sampling()  # of a judge: in place of what its grader says; a target's stands in the plan
    headers: tuple[Header, ...] = ()  # from misalign-eval.yaml, which refuses them for adapters of other packages

    @property
    def name(self) -> str:
        """`provider/model`."""
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What `providers check` and `doctor` learn by asking the server."""

    reachable: bool
    detail: str
    models: tuple[str, ...] = ()
    shutdown_date: str | None = None


class Provider(Protocol):
    """An adapter to one model behind one address."""

    spec: ModelSpec
    host: str  # host:port as requests really leave, "" without a network
    account: str  # requests of one account share a rate limit; never holds a key
    capabilities: Capabilities  # may grow as answers tell more

    async def complete(self, request: ModelRequest) -> Response:
        """Make one attempt. Raises ProviderFault; lets asyncio.CancelledError and TimeoutError pass."""

    async def facts(self) -> ModelInfo:
        """Ask the server what it is. Sends extra requests: only for `doctor` and `providers check`."""

    async def close(self) -> None:
        """Release connections and processes."""


class BatchProvider(Protocol):
    """A provider that takes many requests at once, as a local model does; optional. `providers/batching` calls it."""

    async def complete_many(self, requests: Sequence[ModelRequest]) -> Sequence[Response | Exception]:
        """Make one attempt at each: a response or a ProviderError for each request, in order.

        A reply must not depend on what it is generated beside. What is raised instead reaches each of the requests.
        """


Ask = Callable[[ModelRequest], Awaitable[Response]]
"""Asks a judge, with retries, limits and accounting already applied. Raises ProviderFault when all attempts failed,
RunStoppedError when the run must end. `Response.usage` covers all attempts."""


class Grader(Protocol):
    """A rule or a judge, ready to grade."""

    @property
    def identity(self) -> GraderIdentity:
        """Who grades; fixed from the start."""

    async def grade(self, subject: Subject) -> Verdict | NoVerdict:
        """Look at one reply."""


@dataclass(frozen=True, slots=True)
class JudgeHandle:
    """A judge model that is ready to be asked; graders are given these and import no provider."""

    spec: ModelSpec
    host: str
    capabilities: Callable[[], Capabilities]
    ask: Ask


ProviderFactory = Callable[[ModelSpec], Provider]
RuleFunction = Callable[[Subject, Mapping[str, JsonValue]], Verdict | NoVerdict]
JudgeHandles = Sequence[JudgeHandle]
GraderFactory = Callable[[JudgeHandles, Mapping[str, JsonValue]], Grader]
"""What an entry point of the group `misalign_eval.graders` names. It is given the judges of the run (none when it has
none) and the options that a suite sets for it (`{}` when it sets none), sends nothing, and raises UsageError for
options or judges that it cannot use. A grader may say how many requests it sends in `requests_per_reply: int`."""
