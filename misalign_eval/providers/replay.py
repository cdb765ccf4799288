"""Provider `replay`: answers recorded in a file or a run."""

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from misalign_eval.errors import InputError, Problem, ProviderError, UsageError, did_you_mean
from misalign_eval.providers.chat_completions import read_options
from misalign_eval.providers.unsupported_params import sent_settings
from misalign_eval.records.base import Record
from misalign_eval.records.protocols import Capabilities, Choice, ModelInfo, ModelRequest, ModelSpec, Provider, Response
from misalign_eval.records.run import ROW, CellKey, Failure, PlannedPrompt, Reply, Usage
from misalign_eval.records.suite import REPLY_MARK, Message

# Recorded answers, read from a run folder, a CSV file or a JSON Lines file.


Conversation = tuple[tuple[str, str], ...]  # role and text of each turn; the system prompt is the first

_PROMPT_NAMES = ("prompt", "question", "instruction", "input")
_RESPONSE_NAMES = ("response", "answer", "reply", "completion", "output")
_SYSTEM_NAMES = ("system", "system_prompt")


class Recording(NamedTuple):
    """One answer, and what it answered."""

    conversation: Conversation
    response: Response


@dataclass(frozen=True, slots=True)
class RecordingColumns:
    """The columns of a table; None stands for the usual names."""

    prompt: str | None = None
    response: str | None = None
    system: str | None = None


def read_recordings(path: Path, columns: RecordingColumns) -> list[Recording]:
    """Every answer in the order in which it stands. Raises UsageError or InputError, with file and line."""
    try:
        if path.is_dir():
            found = list(_of_run(path))
        elif path.suffix.lower() == ".csv":
            found = list(_of_csv(path, columns))
        elif path.suffix.lower() in (".jsonl", ".ndjson"):
            found = list(_of_json_lines(path, columns))
        else:
            raise UsageError(f"replay: `{path}` is no run folder, no .csv and no .jsonl file.")
    except FileNotFoundError as error:
        raise UsageError(f"replay: `{error.filename}` does not exist.") from None
    except UnicodeDecodeError:
        raise UsageError(f"replay: `{path}` is not UTF-8.") from None
    except OSError as error:
        raise UsageError(f"replay: `{path}` cannot be read: {error.strerror}.") from None
    if not found:
        raise UsageError(f"replay: `{path}` holds no answer.")
    return found


def _of_run(folder: Path) -> Iterator[Recording]:
    planned: dict[CellKey, PlannedPrompt] = {}
    for number, line in _lines(folder / "plan.jsonl"):
        try:
            prompt = PlannedPrompt.model_validate_json(line)
        except ValidationError as error:
            raise _bad_line(folder / "plan.jsonl", number, error.errors()[0]["msg"]) from None
        planned[prompt.cell] = prompt
    for number, line in _lines(folder / "replies.jsonl"):
        try:
            row = ROW.validate_json(line)
        except ValidationError as error:
            raise _bad_line(folder / "replies.jsonl", number, error.errors()[0]["msg"]) from None
        asked = planned.get(row.cell)
        if asked is not None and not isinstance(row, Failure):
            yield from _turns(asked, row)


def _turns(prompt: PlannedPrompt, row: Reply) -> Iterator[Recording]:
    """The reply, where its text is there, and before it the target's answers to the earlier scripted turns."""
    turns: list[tuple[str, str]] = [("system", prompt.system.strip())] if prompt.system is not None else []
    earlier = iter(row.earlier)
    for turn in prompt.messages:
        said = turn.content
        if turn.role == "assistant" and said == REPLY_MARK:
            said = next(earlier, "")
            yield Recording(tuple(turns), Response((Choice(said, "stop"),), Usage(cost_usd=0.0)))
        turns.append((turn.role, said.strip()))
    if row.text is None:
        return
    choice = Choice(
        row.text,
        row.finish,
        row.reasoning,
        row.refusal,
        finish_word=row.finish_word,
        calls=row.calls,
        leaked=row.leaked,
    )
    usage = row.usage.model_copy(update={"cost_usd": 0.0})
    yield Recording(tuple(turns), Response((choice,), usage, row.model, row.fingerprint, prefilled=row.prefilled))


def _of_csv(path: Path, columns: RecordingColumns) -> Iterator[Recording]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        before = csv.field_size_limit(100_000_000)  # a reply may be longer than the 128 KiB that csv allows a field
        reader = csv.DictReader(file, strict=True)
        try:
            names = _names(path, list(reader.fieldnames or ()), columns)
            for row in reader:
                yield _of_row(path, reader.line_num, row, names)
        except csv.Error as error:
            raise _bad_line(path, reader.line_num, str(error)) from None
        finally:
            csv.field_size_limit(before)


def _of_json_lines(path: Path, columns: RecordingColumns) -> Iterator[Recording]:
    for number, line in _lines(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _bad_line(path, number, f"not JSON: {error}") from None
        if not isinstance(row, dict):
            raise _bad_line(path, number, "not a JSON object")
        yield _of_row(path, number, row, _names(path, list(row), columns))


def _names(path: Path, present: Sequence[str], columns: RecordingColumns) -> tuple[str, str, str | None]:
    """The columns of prompt, response and system prompt."""
    prompt = _column(path, present, columns.prompt, _PROMPT_NAMES, "prompt")
    response = _column(path, present, columns.response, _RESPONSE_NAMES, "response")
    system = next((name for name in _SYSTEM_NAMES if name in present), None)
    if columns.system is not None:
        system = _column(path, present, columns.system, (), "system")
    return prompt, response, system


def _column(path: Path, present: Sequence[str], asked: str | None, usual: Sequence[str], kind: str) -> str:
    wanted = [asked] if asked is not None else usual
    for name in wanted:
        if name in present:
            return name
    missing = f"no column `{asked}`" if asked is not None else f"no {kind} column"
    fix = did_you_mean(wanted[0], present) or "The table has no columns."
    raise UsageError(f"replay: {path}: {missing}. {fix} Set it by `options: {{{kind}_column: NAME}}`.")


def _of_row(path: Path, number: int, row: Mapping[str, object], names: tuple[str, str, str | None]) -> Recording:
    prompt, response = row.get(names[0]), row.get(names[1])
    system = row.get(names[2]) if names[2] is not None else None
    if not isinstance(prompt, str) or not isinstance(response, str):
        raise _bad_line(path, number, f"`{names[0]}` and `{names[1]}` must both be text")
    turns = [("system", system.strip())] if isinstance(system, str) and system.strip() else []
    conversation = (*turns, ("user", prompt.strip()))
    return Recording(conversation, Response((Choice(response, "stop"),), Usage(cost_usd=0.0)))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Lines with their numbers. A last line that was cut off while it was written is left out."""
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if line.strip() and (line.endswith("\n") or _is_whole(line)):
                yield number, line


def _is_whole(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _bad_line(path: Path, number: int, what: str) -> InputError:
    return InputError([Problem(str(path), number, "", what)])


# Answers that were given before, from a run folder or a table; no network, no cost.
#
# The model's name is the path. Answers are found by their whole conversation and given out in the order in which they
# stand, each once: a conversation asked more often than it was answered is a fault, not an answer given twice.


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
    columns = RecordingColumns(options.prompt_column, options.response_column, options.system_column)
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
            raise ProviderError("bad_request", _absence(conversation, len(answers)))
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

    async def facts(self) -> ModelInfo:
        """Count what is there."""
        answers = sum(map(len, self._answers.values()))
        return ModelInfo(reachable=True, detail=f"{answers} answers to {len(self._answers)} conversations")

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
