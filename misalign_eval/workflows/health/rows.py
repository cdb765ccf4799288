"""Reads the rows of a run folder for its doctor: every line is looked at, also behind one that is broken."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from misalign_eval.errors import InputError
from misalign_eval.records.lint import Finding, Level, found
from misalign_eval.results.rows import opened

T = TypeVar("T")
NAMED = 5  # lines told
_TYPED = re.compile(r"[A-Za-z0-9_.]+")


@dataclass
class Lines(Generic[T]):
    """The rows of a file that can be read; what cannot is counted."""

    path: Path
    name: str  # below the run folder, for messages
    adapter: TypeAdapter[T]
    rows: int = 0
    broken: list[int] = field(default_factory=list)  # line numbers
    why: str = ""
    torn_bytes: int = 0
    unread: str = ""

    def __iter__(self) -> Iterator[tuple[int, T]]:
        """Each row with the number of its line."""
        try:
            file = opened(self.path)
        except InputError as error:
            self.unread = error.problems[0].what
            return
        if file is None:
            return
        with file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    self.torn_bytes = len(line)
                    return
                try:
                    row = self.adapter.validate_json(line)
                except ValidationError as error:
                    self.broken.append(number)
                    self.why = self.why or _why(error)
                    continue
                self.rows += 1
                yield number, row

    def findings(self) -> Iterator[Finding]:
        """What is wrong with the lines themselves. Ask after reading them all."""
        if self.unread:
            text, advice = f"{self.name}: {self.unread}", "No command reads this run until the file itself is there."
            yield Finding(id="unread-file", level="error", text=text, example=self.name, advice=advice)
        if self.broken:
            some = ", ".join(map(str, self.broken[:NAMED])) + (" …" if len(self.broken) > NAMED else "")
            text = f"{self.name}: lines that are no rows of this format: {len(self.broken)} (line {some}: {self.why})"
            advice = (
                "No command reads this run until they are restored from a backup, or taken out and asked for again."
            )
            total = self.rows + len(self.broken)
            example = f"{self.name}:{self.broken[0]}"
            yield found("broken-rows", "error", text, advice, count=len(self.broken), of=total, example=example)
        if self.torn_bytes:
            text = f"{self.name}: the last line is torn ({self.torn_bytes} bytes without an end), as a crash leaves it"
            advice = "It is passed over; `run --resume` cuts it off and asks again."
            example = f"{self.name}:{self.rows + len(self.broken) + 1}"
            yield found("torn-line", "warning", text, advice, count=1, of=self.rows + 1, example=example)


def _why(error: ValidationError) -> str:
    """The kind of fault and its place, without a word of the content."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"] if _TYPED.fullmatch(str(part)))
    return f"{first['type']}{f' at {where}' if where else ''}"


@dataclass
class Tallied:
    """Something that may be so of several rows: how many, and the first to look at."""

    count: int = 0
    example: str | None = None

    def note(self, example: str) -> None:
        """One more."""
        self.count += 1
        self.example = self.example or example

    def finding(self, identity: str, level: Level, say: str, advice: str, of: int) -> Iterator[Finding]:
        """The finding, where there is any: what it is, and how many."""
        if self.count:
            yield found(identity, level, f"{say}: {self.count}", advice, count=self.count, of=of, example=self.example)
