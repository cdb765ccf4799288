"""Recorded answers, read from a run folder, a CSV file or a JSON Lines file."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from misalign_eval.errors import InputError, Problem, UsageError, did_you_mean
from misalign_eval.records.plan import PlannedPrompt
from misalign_eval.records.protocols import Choice, Response
from misalign_eval.records.reply import ROW, Failure, Reply, Usage
from misalign_eval.records.suite import REPLY_MARK

Conversation = tuple[tuple[str, str], ...]  # role and text of each turn; the system prompt is the first

_PROMPT_NAMES = ("prompt", "question", "instruction", "input")
_RESPONSE_NAMES = ("response", "answer", "reply", "completion", "output")
_SYSTEM_NAMES = ("system", "system_prompt")


class Recording(NamedTuple):
    """One answer, and what it answered."""

    conversation: Conversation
    response: Response


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of a table; None stands for the usual names."""

    prompt: str | None = None
    response: str | None = None
    system: str | None = None


def read_recordings(path: Path, columns: Columns) -> list[Recording]:
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
    planned: dict[tuple[str, int, str], PlannedPrompt] = {}
    for number, line in _lines(folder / "plan.jsonl"):
        try:
            prompt = PlannedPrompt.model_validate_json(line)
        except ValidationError as error:
            raise _bad_line(folder / "plan.jsonl", number, error.errors()[0]["msg"]) from None
        planned[prompt.probe, prompt.prompt, prompt.variant] = prompt
    for number, line in _lines(folder / "replies.jsonl"):
        try:
            row = ROW.validate_json(line)
        except ValidationError as error:
            raise _bad_line(folder / "replies.jsonl", number, error.errors()[0]["msg"]) from None
        asked = planned.get(row.key[:3])
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


def _of_csv(path: Path, columns: Columns) -> Iterator[Recording]:
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


def _of_json_lines(path: Path, columns: Columns) -> Iterator[Recording]:
    for number, line in _lines(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _bad_line(path, number, f"not JSON: {error}") from None
        if not isinstance(row, dict):
            raise _bad_line(path, number, "not a JSON object")
        yield _of_row(path, number, row, _names(path, list(row), columns))


def _names(path: Path, present: Sequence[str], columns: Columns) -> tuple[str, str, str | None]:
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
