"""Conversion of suite files: one of our own stays as it is, a foreign one becomes an equivalent suite document."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from misalign_eval.errors import InputError, Problem
from misalign_eval.suites.formats import (
    betley,
    detect,
    finetuning,
    llmcomp,
    persona_features,
    persona_vectors,
    promptfoo,
    prompts,
    to_suite,
)
from misalign_eval.suites.formats.detect import Format, Recognised, Role
from misalign_eval.suites.formats.questions import ForeignSuite
from misalign_eval.suites.formats.source import ConversionReport
from misalign_eval.suites.formats.source import document as translated
from misalign_eval.yaml_source.document import Document, loads, read_at_most
from misalign_eval.yaml_source.nodes import Node

MOST_BYTES = 64_000_000
TEXT_SUFFIXES = (".txt", ".text")
_NOTHING: Mapping[Role, str] = MappingProxyType({})
_READERS: dict[Format, Callable[[Recognised, Path, ConversionReport], ForeignSuite]] = {
    "Betley YAML": lambda found, _, notes: betley.read(found, notes),
    "Betley YAML with viseval's additions": lambda found, _, notes: betley.read(found, notes),
    "llmcomp YAML": lambda found, _, notes: llmcomp.read(found, notes),
    "persona-features CSV": lambda found, _, notes: persona_features.read(found, notes),
    "persona-vectors JSON": persona_vectors.read,
    "prompts as CSV": lambda found, _, notes: prompts.read(found, notes),
    "prompts as JSON": lambda found, _, notes: prompts.read(found, notes),
    "prompts as JSONL": lambda found, _, notes: prompts.read(found, notes),
    "prompts as YAML": lambda found, _, notes: prompts.read(found, notes),
    "prompts as lines of text": lambda found, _, notes: prompts.read(found, notes),
    "promptfoo YAML": lambda found, _, notes: promptfoo.read(found, notes),
    "fine-tuning CSV": lambda found, _, notes: finetuning.read(found, notes),
    "fine-tuning JSON": lambda found, _, notes: finetuning.read(found, notes),
    "fine-tuning JSONL": lambda found, _, notes: finetuning.read(found, notes),
}


@dataclass(frozen=True, slots=True)
class ConvertedFrom:
    """What a suite was made from: the format, and what it says that the suite does not."""

    format: Format
    losses: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class OpenedSuite:
    """A suite file as a document. `origin` is None for one of our own."""

    document: Document
    origin: ConvertedFrom | None = None


def open_suite(
    path: Path, mapped: Mapping[Role, str] = _NOTHING, graders: tuple[str, ...] | None = None
) -> OpenedSuite:
    """Read a file of any format; `mapped` says which column of a table is what.

    `graders` are those of a definition that counts in place of the file's own. Raises InputError with every problem of
    the file, also where `mapped` is given for a file that is no table.
    """
    content = read_at_most(path, MOST_BYTES)
    notes = ConversionReport(str(path))
    text = _decoded(content)
    table = None if text is None else detect.by_text(text, notes, mapped)
    found = table or _of_yaml(content, text, notes, mapped)
    if mapped and (isinstance(found, Document) or not found.table.rows):
        what = "a suite of misalign-eval" if isinstance(found, Document) else found.format
        raise notes.stop(None, f"--map names columns of a table of questions, and this is {what}", "Leave --map out.")
    if isinstance(found, Document):
        return OpenedSuite(found)
    return _translated(replace(found, mapped=mapped, graders=graders), path, content, notes)


def _of_yaml(
    content: bytes, text: str | None, notes: ConversionReport, mapped: Mapping[Role, str]
) -> Recognised | Document:
    """A YAML file of ours or another's; bare text as lines where its name says that it is text."""
    is_text = text is not None and Path(notes.file).suffix.lower() in TEXT_SUFFIXES
    try:
        document = loads(content, notes.file)
    except InputError:
        if is_text and text is not None and not text.startswith(("-", "#", "%", "{", "[")):
            return detect.by_lines(text, notes)
        raise
    if is_text and text is not None and _is_bare(document.root):
        return detect.by_lines(text, notes)
    recognised = detect.by_yaml(document, notes, mapped)
    if recognised is not None:
        notes.problems += document.problems
        return recognised
    _refuse_others(document, notes)
    return document


def _is_bare(root: Node) -> bool:
    """A scalar, or a mapping whose keys are words of a sentence with a colon in it."""
    entries = root.entries or {}
    return isinstance(root.scalar, str) or (bool(entries) and all(len(key.split()) > 1 for key in entries))


def _translated(recognised: Recognised, path: Path, content: bytes, notes: ConversionReport) -> OpenedSuite:
    if notes.problems and not (recognised.root.items or recognised.table.rows):
        raise InputError(_by_line(notes.problems))
    foreign = _READERS[recognised.format](recognised, path, notes)
    if not foreign.questions and not notes.problems:
        notes.wrong(1, "", "there is no question in this file")
    if notes.problems:
        raise InputError(_by_line(notes.problems))
    made = to_suite.suite_file(foreign, path, content, notes, recognised.graders)
    if notes.problems:
        raise InputError(_by_line(notes.problems))
    return OpenedSuite(translated(str(path), made), ConvertedFrom(recognised.format, notes.losses))


def _by_line(problems: list[Problem]) -> list[Problem]:
    return sorted(dict.fromkeys(problems), key=lambda problem: problem.line or 0)


def _decoded(content: bytes) -> str | None:
    """The text. None where it is not UTF-8 or empty, of which the reader of YAML tells the line."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
    return text if text.strip() else None


def _refuse_others(document: Document, notes: ConversionReport) -> None:
    """A list, or bare text, is no suite of ours; better said so than field by field."""
    if document.root.entries is None and not document.problems:
        raise notes.stop(document.root.line, "not a suite, and in no format that is known", detect.KNOWN)
