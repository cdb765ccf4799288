"""A program of the user's as a model: JSON lines in, JSON lines out.

A request: `{"id": "7", "model": …, "messages": [{"role", "content"}, …], "temperature": …}` with the settings that are
set. An answer: `{"id": "7", "text": …}` with, as wanted, `reasoning`, `finish`, `refusal`, `usage`, `dropped`, or
`{"id": "7", "error": {"message": …, "reason": …, "retry": true}}`. Answers may come in any order.
"""

import shlex
import shutil
from collections.abc import Mapping
from typing import cast, get_args

from pydantic import JsonValue

from misalign_eval.errors import FaultReason, ProviderFault, UsageError
from misalign_eval.providers.contents import Content, calls_in, reasoning_text
from misalign_eval.providers.options import MarkupOptions, read_options
from misalign_eval.providers.prefill import Way, continued, continues
from misalign_eval.providers.prices import cost_usd
from misalign_eval.providers.process import LineProcess
from misalign_eval.providers.reading import as_count, as_object, as_text, no_answer
from misalign_eval.providers.restrictions import sent_settings
from misalign_eval.providers.wire import JsonObject
from misalign_eval.records.markup import Marks
from misalign_eval.records.protocols import (
    Capabilities,
    ModelFacts,
    ModelRequest,
    ModelSpec,
    Provider,
    Response,
)
from misalign_eval.records.reply import Usage


class CommandOptions(MarkupOptions):
    """`options:` of a `command` target. Without `command` the model's name is the command line.

    `prefill: true` says that the program continues an assistant turn at the end of `messages`.
    """

    command: tuple[str, ...] = ()
    prefill: bool = False


def create(spec: ModelSpec) -> Provider:
    """An adapter to one program, started when it is first asked. Raises UsageError when there is no such program."""
    options = read_options(spec, CommandOptions)
    if spec.base_url or spec.api_key_env:
        raise UsageError(f"{spec.name}: a command has no address and no key; it inherits the environment.")
    try:
        command = options.command or tuple(shlex.split(spec.model))
    except ValueError as error:
        raise UsageError(f"{spec.name}: the command line cannot be read: {error}.") from None
    if not command or shutil.which(command[0]) is None:
        raise UsageError(f"{spec.name}: `{command[0] if command else ''}` is no program that can be run here.")
    return CommandProvider(spec, LineProcess(command), options.marks)


class CommandProvider:
    """One program, asked by lines."""

    def __init__(self, spec: ModelSpec, process: LineProcess, marks: Marks | None = None) -> None:
        self.spec = spec
        self.host = ""
        self.account = spec.name
        self.capabilities = Capabilities(system=True, logprobs=False, prefill=continues(spec))
        self._process = process
        self._marks = marks

    async def complete(self, request: ModelRequest) -> Response:
        """Make one attempt. Raises ProviderFault."""
        answer = await self._process.ask(_line(self.spec.model, request))
        if answer.get("error"):
            raise _told_fault(answer["error"])
        return continued(self._read(answer, request), request, () if request.prefill is None else (Way.TURN.value,))

    def _read(self, answer: JsonObject, request: ModelRequest) -> Response:
        text, refusal = answer.get("text"), as_text(answer.get("refusal"))
        if not isinstance(text, str) and refusal is None:
            raise no_answer("the answer has no `text`")
        content = Content(texts=[text if isinstance(text, str) else ""], calls=list(calls_in(answer)))
        reasoning = reasoning_text(answer.get("reasoning"))
        choice = content.choice(answer.get("finish", "stop"), marks=self._marks, reasoning=reasoning, refusal=refusal)
        return Response(
            (choice,),
            self._usage(as_object(answer.get("usage"))),
            model=as_text(answer.get("model")),
            dropped=_dropped(answer.get("dropped"), request),
        )

    def _usage(self, usage: JsonObject) -> Usage:
        counted = Usage(
            input_tokens=as_count(usage.get("input_tokens")), output_tokens=as_count(usage.get("output_tokens"))
        )
        return counted.model_copy(update={"cost_usd": cost_usd(counted, self.spec.prices)})

    async def facts(self) -> ModelFacts:
        """Start the program."""
        try:
            await self._process.start()
        except ProviderFault as fault:
            return ModelFacts(reachable=False, detail=fault.message)
        return ModelFacts(reachable=True, detail="the program runs")

    async def close(self) -> None:
        """End the program and all that it started."""
        await self._process.close()


def _line(model: str, request: ModelRequest) -> JsonObject:
    """The request with the settings that are set, under our own names."""
    line: JsonObject = {
        "model": model,
        "messages": [{"role": turn.role, "content": turn.content} for turn in request.messages],
    }
    for name in sent_settings(request):
        value = getattr(request, name)
        line[name] = list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value
    return line


def _dropped(named: JsonValue, request: ModelRequest) -> tuple[str, ...]:
    """The settings that the program says it left out; log-probabilities and n always are."""
    said = set(named) if isinstance(named, list) else set()
    return tuple(name for name in sent_settings(request) if name in said or name in ("top_logprobs", "n"))


def _told_fault(error: JsonValue) -> ProviderFault:
    """A fault in the program's own words."""
    told = as_object(error)
    message = as_text(told.get("message")) or as_text(error) or "the program reports an error"
    named = as_text(told.get("reason"))
    reason = cast("FaultReason", named) if named in get_args(FaultReason) else "server"
    after = told.get("after_s")
    return ProviderFault(
        reason,
        " ".join(message.split())[:400],
        retry=told.get("retry") is True,
        after_s=float(after) if isinstance(after, int | float) and not isinstance(after, bool) else None,
        fatal=told.get("fatal") is True,
    )
