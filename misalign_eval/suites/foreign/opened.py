"""Opening a suite file: one of our own as it is, another's as the suite file that says the same."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from misalign_eval.errors import InputError, Problem
from misalign_eval.suites.foreign import (
    assemble,
    betley,
    finetuning,
    llmcomp,
    persona_features,
    persona_vectors,
    prompts,
    recognise,
)
from misalign_eval.suites.foreign.notes import Notes
from misalign_eval.suites.foreign.questions import ForeignSuite
from misalign_eval.suites.foreign.recognise import Format, Recognised
from misalign_eval.suites.foreign.tree import document as translated
from misalign_eval.yaml_source import Document, loads, read_at_most

MOST_BYTES = 64_000_000
_READERS: dict[Format, Callable[[Recognised, Path, Notes], ForeignSuite]] = {
    "Betley YAML": lambda found, _, notes: betley.read(found, notes),
    "Betley YAML with viseval's additions": lambda found, _, notes: betley.read(found, notes),
    "llmcomp YAML": lambda found, _, notes: llmcomp.read(found, notes),
    "persona-features CSV": lambda found, _, notes: persona_features.read(found, notes),
    "persona-vectors JSON": persona_vectors.read,
    "prompts as CSV": lambda found, _, notes: prompts.read(found, notes),
    "prompts as JSON": lambda found, _, notes: prompts.read(found, notes),
    "prompts as JSONL": lambda found, _, notes: prompts.read(found, notes),
    "fine-tuning JSONL": lambda found, _, notes: finetuning.read(found, notes),
}


@dataclass(frozen=True, slots=True)
class Origin:
    """What a suite was made from: the format, and what it says that the suite does not."""

    format: Format
    losses: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """A suite file as a document. `origin` is None for one of our own."""

    document: Document
    origin: Origin | None = None


def opened(path: Path) -> Opened:
    """Read a file of any format. Raises InputError with every problem of it."""
    content = read_at_most(path, MOST_BYTES)
    notes = Notes(str(path))
    text = _decoded(content)
    found = None if text is None else recognise.by_text(text, notes)
    if found is None:
        document = loads(content, str(path))
        kind = recognise.by_yaml(document)
        if kind is None:
            _refuse_other_lists(document)
            return Opened(document)
        notes.problems += document.problems
        found = Recognised(kind, document.root)
    return _translated(found, path, content, notes)


def _translated(found: Recognised, path: Path, content: bytes, notes: Notes) -> Opened:
    if notes.problems and not (found.root.items or found.table.rows):
        raise InputError(_by_line(notes.problems))
    foreign = _READERS[found.format](found, path, notes)
    if not foreign.questions and not notes.problems:
        notes.wrong(1, "", "there is no question in this file")
    if notes.problems:
        raise InputError(_by_line(notes.problems))
    made = assemble.suite_file(foreign, path, content, notes)
    if notes.problems:
        raise InputError(_by_line(notes.problems))
    return Opened(translated(str(path), made), Origin(found.format, notes.losses))


def _by_line(problems: list[Problem]) -> list[Problem]:
    return sorted(dict.fromkeys(problems), key=lambda problem: problem.line or 0)


def _decoded(content: bytes) -> str | None:
    """The text. None where it is not UTF-8 or empty, of which the reader of YAML tells the line."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return text if text.strip() else None


def _refuse_other_lists(document: Document) -> None:
    """A list, or bare text, is no suite of ours; better said so than field by field."""
    if document.root.entries is None and not document.problems:
        what = "not a suite, and in no format that is known"
        raise InputError([Problem(document.file, document.root.line, "", what, recognise.KNOWN)])
