"""Answers that were given before, from a run folder or a table; no network, no cost.

The model's name is the path. Answers are found by their whole conversation and given out in the order in which they
stand, each once: a conversation asked more often than it was answered is a fault, not an answer given twice.
"""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from misalign_eval.errors import ProviderFault, UsageError
from misalign_eval.providers.options import read_options
from misalign_eval.providers.recordings import Columns, Conversation, Recording, read_recordings
from misalign_eval.providers.restrictions import sent_settings
from misalign_eval.records.base import Record
from misalign_eval.records.protocols import Capabilities, ModelFacts, ModelRequest, ModelSpec, Provider, Response
from misalign_eval.records.suite import Message


class ReplayOptions(Record):
    """`options:` of a `replay` target: the columns of a table, where their names are not the usual ones."""

    prompt_column: str | None = None
    response_column: str | None = None
    system_column: str | None = None


def create(spec: ModelSpec) -> Provider:
    """An adapter to recorded answers. Raises UsageError when they cannot be read."""
    options = read_options(spec, ReplayOptions)
    if spec.base_url or spec.api_key_env:
        raise UsageError(f"{spec.name}: a replay has no address and no key; its model is a path.")
    columns = Columns(options.prompt_column, options.response_column, options.system_column)
    return ReplayProvider(spec, read_recordings(Path(spec.model).expanduser(), columns))


class ReplayProvider:
    """Recorded answers by conversation."""

    def __init__(self, spec: ModelSpec, recordings: Iterable[Recording]) -> None:
        self.spec = spec
        self.host = ""
        self.account = spec.name
        self.capabilities = Capabilities(
            system=True, logprobs=False, seed=False, n=False, temperature=False, prefill=True
        )
        self._answers: dict[Conversation, list[Response]] = defaultdict(list)
        for recording in recordings:
            self._answers[recording.conversation].append(recording.response)
        self._given: dict[Conversation, int] = defaultdict(int)

    async def complete(self, request: ModelRequest) -> Response:
        """The next answer to this conversation. Raises ProviderFault when there is none."""
        conversation = conversation_of(request.messages)
        answers = self._answers.get(conversation, [])
        index = self._given[conversation]
        if index >= len(answers):
            raise ProviderFault("bad_request", _absence(conversation, len(answers)))
        self._given[conversation] += 1
        answer = answers[index]
        return Response(
            answer.choices,
            answer.usage,
            answer.model,
            answer.fingerprint,
            dropped=sent_settings(request),
            prefilled=answer.prefilled,
        )

    async def facts(self) -> ModelFacts:
        """Count what is there."""
        answers = sum(map(len, self._answers.values()))
        return ModelFacts(reachable=True, detail=f"{answers} answers to {len(self._answers)} conversations")

    async def close(self) -> None:
        """Nothing is open."""


def conversation_of(messages: Iterable[Message]) -> Conversation:
    """What answers are found by; white space around a turn does not count."""
    return tuple((turn.role, turn.content.strip()) for turn in messages)


def _absence(conversation: Conversation, answered: int) -> str:
    last = " ".join(conversation[-1][1].split())
    shown = last if len(last) <= 80 else last[:80] + "…"
    if answered:
        return f"only {answered} recorded answers to this prompt, all given: {shown}"
    system = " under this system prompt" if conversation[0][0] == "system" else ""
    return f"no recorded answer to this prompt{system}: {shown}"
