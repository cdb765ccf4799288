"""Documents: what a record says, as blocks, before it is a terminal page or Markdown.

A subject of `reports/` gives the words and their order once; every backend has one function for each kind of block.
Strings in a document are hostile: they may hold names, replies and what a judge wrote. Only a backend escapes them.
Text of the package itself is marked as `Trusted`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from misalign_eval.records.findings import Level, Warned

Tone = Literal["strong", "pass", "fail", "inconclusive"]


class Trusted(str):
    """Numbers and fixed words of the package: a backend escapes in them only what breaks its own syntax.

    Text that holds a name from a suite, a server or a file is never trusted.
    """

    __slots__ = ()


Pairs: TypeAlias = tuple[tuple[str, str], ...]  # a name, and what it is; no name: it goes on with the pair before


@dataclass(frozen=True)
class Statement:
    """The result in one sentence, with where it comes from. Every part but the sentence may be empty."""

    sentence: str = ""
    explanation: str = ""  # what the intervals and tests in the sentence are
    sources: Pairs = ()  # run, target, suite, definition, judge
    facts: Pairs = ()


@dataclass(frozen=True)
class Facts:
    """Names and what they are, one a line."""

    pairs: Pairs
    title: str = ""


@dataclass(frozen=True)
class Table:
    """A table of words. The first columns hold names; the cells of the others are trusted.

    A caption says what the numbers were measured with: definition, judge, suite.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    caption: str = ""
    names: int = 1  # how many columns hold names


@dataclass(frozen=True)
class Bars:
    """Counts of a whole: bars on a terminal, else a table of two columns."""

    title: str
    columns: tuple[str, str]
    rows: tuple[tuple[str, int], ...]
    whole: int
    caption: str


@dataclass(frozen=True)
class Excerpt:
    """The beginning of one reply, under what it was found to be."""

    title: str
    text: str


@dataclass(frozen=True)
class Excerpts:
    """Replies to look at. The hint names the command that prints them whole; it is for a terminal."""

    title: str
    excerpts: tuple[Excerpt, ...]
    hint: str = ""


@dataclass(frozen=True)
class Quotation:
    """One reply with its question and what was said of it: each text with what it is."""

    title: str
    texts: Pairs


@dataclass(frozen=True)
class Quotations:
    """Replies on which two graders differ, to be read."""

    title: str
    quotations: tuple[Quotation, ...]


@dataclass(frozen=True)
class Warnings:
    """What the reader of the numbers must know."""

    warnings: tuple[Warned, ...]


@dataclass(frozen=True)
class LintLine:
    """One finding, or one sentence about all of them."""

    level: Level
    text: str
    example: str | None = None  # the key of a reply, as it stands in the text


@dataclass(frozen=True)
class Findings:
    """Findings of lint, each with how grave it is."""

    title: str
    lines: tuple[LintLine, ...]


Block: TypeAlias = Statement | Facts | Table | Bars | Excerpts | Quotations | Warnings | Findings


@dataclass(frozen=True)
class ReportDocument:
    """One record in words. A terminal shows the title only where it has a tone: else the headline says it."""

    title: str
    blocks: tuple[Block, ...]
    tone: Tone | None = None


def trusted(*words: str) -> tuple[Trusted, ...]:
    """Several texts of the package itself, such as the heads of a table.

    >>> trusted("probe", "rate")
    ('probe', 'rate')
    """
    return tuple(map(Trusted, words))


def trusted_values(pairs: Iterable[tuple[str, str]]) -> Pairs:
    """Pairs whose values are numbers and fixed words of the package; the names stay hostile."""
    return tuple((name, Trusted(value)) for name, value in pairs)


def captioned(tables: Iterable[Table], caption: str) -> Iterator[Table]:
    """The same tables, each with what its numbers were measured with."""
    return (replace(table, caption=caption) for table in tables)


def warnings_block(warnings: tuple[Warned, ...]) -> tuple[Warnings, ...]:
    """One block, or none where there is nothing to warn of."""
    return (Warnings(warnings),) if warnings else ()
