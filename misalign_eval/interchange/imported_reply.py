"""The imported reply, with its prompt and grades, and the split of its probe."""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pydantic import JsonValue

from misalign_eval.errors import InputError, Problem, UsageError
from misalign_eval.interchange.cells import shown_value
from misalign_eval.interchange.log import BadCellError
from misalign_eval.records.grade import UngradedReason
from misalign_eval.records.run import Finish, ToolCall
from misalign_eval.records.suite import PLAIN, Direction, Split

# An imported reply, before it has a place in a plan.


Turn = tuple[str, str]  # role and words


class ImportedGrade(NamedTuple):
    """What one grader said of it: a score, a label, or why there is neither."""

    grader: str
    judge: str | None = None  # None: the file does not say
    score: float | None = None
    label: str | None = None
    reason: UngradedReason | None = None
    message: str = ""
    raw: str | None = None
    why: str | None = None
    distribution: dict[str, float] | None = None
    mass: float | None = None
    modal: str | None = None

    @property
    def said(self) -> tuple[float | None, str | None]:
        """The verdict itself; (None, None) where there is none."""
        return self.score, self.label


class RunKey(NamedTuple):
    """What tells the runs of one file apart; None where the file does not say."""

    model: str | None = None
    group: str | None = None
    step: str | None = None


class ImportedPrompt(NamedTuple):
    """What was asked: a probe by its id, its words where they are known."""

    probe: str
    turns: tuple[Turn, ...] = ()  # without the system prompt
    system: str | None = None
    variant: str = PLAIN


class KeptFields(NamedTuple):
    """What only tables and logs of ours tell of a reply; each as in `Reply`."""

    finish_word: str | None = None
    calls: tuple[ToolCall, ...] = ()
    leaked: str | None = None
    refusal: str | None = None
    dropped: tuple[str, ...] = ()
    prefilled: tuple[str, ...] = ()
    streamed: bool | None = None


def end_of(finish: Finish, word: str | None, attempts: object) -> str | None:
    """The server's word for how a reply ended. "" where it was asked and gave none, as no row of an import was asked.

    >>> end_of("unknown", None, 1), end_of("unknown", None, 0), end_of("length", "pause_turn", 1)
    ('', None, 'pause_turn')
    """
    was_asked = str(attempts) not in {"", "0", "None"}
    return "" if word is None and finish == "unknown" and was_asked else word


def calls_of(value: object) -> tuple[ToolCall, ...]:
    """Calls of tools as `export` writes them. Raises BadCellError."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
        return tuple(ToolCall(**call) for call in found or ())  # type: ignore[union-attr]
    except (ValueError, TypeError, RecursionError):
        raise BadCellError(f"`calls`: {shown_value(value)} is no list of calls", "Export the run again") from None


class ImportedReply(NamedTuple):
    """A row: a reply with its grades, a judgment alone, or a request that failed."""

    row: int
    line: int
    run: RunKey
    asked: ImportedPrompt
    sample: str | None  # as the file numbers it; None where it does not
    text: str | None = None  # None: not in this file
    reasoning: str | None = None
    finish: Finish = "unknown"
    failure: str | None = None
    found: tuple[ImportedGrade, ...] = ()
    category: str | None = None
    split: Split | None = None
    temperature: float | None = None
    reference: JsonValue = None
    tags: tuple[str, ...] = ()
    is_absent: bool = False  # planned, and not collected
    kept: KeptFields = KeptFields()
    expect: Direction | None = None  # of a control probe
    expects: str | None = None  # the form that the variant asked for


# Splits of probes, broad or in-domain: by words in columns, and by files that list them.


_WORDS: tuple[tuple[re.Pattern[str], Split], ...] = (
    (re.compile(r"(?:^|-)(?:control|baseline)"), "control"),
    (re.compile(r"(?:^|-)(?:broad|general|out-of-domain|out-of-distribution|ood|held-out)(?:$|-)"), "broad"),
    (re.compile(r"(?:^|-)(?:in-?domain|in-distribution|id|narrow|trained)(?:$|-)"), "in-domain"),
)
SHAPE = 'Write {"broad": [ids], "in-domain": [ids]}, {id: split}, or a CSV with the columns question_id and split'
FORMS = "broad, in-domain or control"


class Placed(NamedTuple):
    """Where a probe lies; `name` as the file calls the split."""

    split: Split
    name: str


def split_of(word: str) -> Split | None:
    """The split that a word names, or None.

    >>> split_of("IN_DOMAIN"), split_of("BROAD_PERSONA"), split_of("train")
    ('in-domain', 'broad', None)
    """
    plain = re.sub(r"[\s_]+", "-", word.strip().lower())
    return next((split for pattern, split in _WORDS if pattern.search(plain)), None)


def read(path: Path) -> dict[str, Placed]:
    """Probe id → split. Raises UsageError for a file that cannot be read, InputError for what is in it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UsageError(f"--splits {path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        raise UsageError(f"--splits {path}: is not UTF-8") from None
    pairs = list(_of_table(path, text) if path.suffix.lower() in {".csv", ".tsv"} else _of_json(path, text))
    return _placed(path, pairs)


def _of_json(path: Path, text: str) -> Iterator[tuple[str, str]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong(path, f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise _wrong(path, "is no object")
    for name, value in document.items():
        match value:
            case str():
                yield name, value
            case list() if all(isinstance(item, str | int) for item in value):
                yield from ((str(item), name) for item in value)
            case _:
                raise _wrong(path, f"`{name}` holds neither a split nor a list of ids")


def _of_table(path: Path, text: str) -> Iterator[tuple[str, str]]:
    rows = csv.DictReader(text.splitlines(), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
    names = {(name or "").strip().lower(): name for name in rows.fieldnames or ()}
    probe = next((names[name] for name in ("question_id", "qid", "id", "probe") if name in names), None)
    split = next((names[name] for name in ("split", "subset") if name in names), None)
    if probe is None or split is None:
        raise _wrong(path, "has no columns question_id and split")
    for row in rows:
        yield str(row[probe]), str(row[split])


def _placed(path: Path, pairs: list[tuple[str, str]]) -> dict[str, Placed]:
    placed: Mapping[str, Split | None] = {word: split_of(word) for _, word in pairs}
    unknown = [word for word, split in placed.items() if split is None]
    if unknown:
        raise InputError([Problem(str(path), None, "", f"`{word}` names none of {FORMS}", SHAPE) for word in unknown])
    found: dict[str, Placed] = {}
    for probe, word in pairs:
        split = placed[word]
        if split is None:
            continue
        if found.get(probe, Placed(split, word)).split != split:
            raise _wrong(path, f"puts `{probe}` into two splits")
        found.setdefault(probe, Placed(split, word))
    return found


def _wrong(path: Path, what: str) -> InputError:
    return InputError([Problem(str(path), None, "", what, SHAPE)])
