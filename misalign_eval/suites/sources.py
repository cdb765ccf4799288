"""Reading a suite file and all that it includes: each file once, and nothing outside the folder of who includes it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from misalign_eval.errors import InputError, Problem, UsageError
from misalign_eval.suites import catalog, mend
from misalign_eval.suites.foreign.columns import Role
from misalign_eval.suites.foreign.opened import Origin, opened
from misalign_eval.suites.schema import DefaultsFile, ProbeFile, SuiteFile
from misalign_eval.yaml_source import Document, Fault, merged


@dataclass(slots=True)
class Source:
    """One file: what it says, and the faults found in it so far. Where a field is at fault, `suite` has a stand-in."""

    document: Document
    suite: SuiteFile
    mended: list[Fault]
    found: list[Fault] = field(default_factory=list)
    origin: Origin | None = None  # of a file in a foreign format

    def fault(self, loc: tuple[str | int, ...], what: str, fix: str = "") -> Fault:
        """A fault of the value at `loc` of this file."""
        return Fault(loc, self.document.problem(loc, what, fix))

    def problems(self) -> list[Problem]:
        """All that is wrong with this file, by line."""
        return merged(self.document, [*self.mended, *mend.untouched(self.found, self.mended)])


@dataclass(frozen=True, slots=True)
class Entry:
    """A probe as written, where, and with which defaults."""

    source: Source
    index: int
    probe: ProbeFile

    @property
    def defaults(self) -> DefaultsFile:
        """Those of the probe's own file."""
        return self.source.suite.defaults

    @property
    def loc(self) -> tuple[str | int, ...]:
        """The place of the probe in its file."""
        return ("probes", self.index)


class Reader:
    """Collects the files of one suite, in the order in which they are named: the file itself first."""

    def __init__(self, mapped: Mapping[Role, str] | None = None, graders: tuple[str, ...] | None = None) -> None:
        self._mapped = mapped or {}
        self._graders = graders
        self.sources: list[Source] = []
        self.unreadable: list[Problem] = []
        self._seen: set[Path] = set()

    def read(self, path: Path) -> None:
        """Read a file and what it includes; what cannot be read is added to `unreadable`."""
        self._seen.add(path.resolve())
        try:
            found = opened(path, {} if self.sources or self.unreadable else self._mapped, self._graders)
        except InputError as error:
            self.unreadable += error.problems
            return
        document = found.document
        suite, mended = mend.read(document)
        if suite is None:
            self.unreadable += merged(document, mended)
            return
        source = Source(document, suite, mended, origin=found.origin)
        self.sources.append(source)
        for index, item in enumerate(suite.include):
            self._include(source, index, item, path)

    def entries(self) -> Iterator[Entry]:
        """Every probe of every file."""
        for source in self.sources:
            for index, probe in enumerate(source.suite.probes):
                yield Entry(source, index, probe)

    def _include(self, source: Source, index: int, item: str, including: Path) -> None:
        loc = ("include", index)
        try:
            path = inside(item, including.resolve().parent) if catalog.is_path(item) else catalog.bundled_file(item)
        except UsageError as error:
            source.found.append(source.fault(loc, str(error)))
            return
        if path.resolve() in self._seen:
            source.found.append(source.fault(loc, f"`{item}` is included already", "Include each file once."))
        else:
            self.read(path)


def inside(item: str, folder: Path) -> Path:
    """A path below `folder`. Raises UsageError when it leads out of it, by `..`, a link or from the root."""
    path = folder / item
    try:
        leads_out = Path(item).is_absolute() or not path.resolve().is_relative_to(folder)
    except (OSError, RuntimeError, ValueError):  # too long a name, a loop of links, NUL
        raise UsageError(f"no such file `{item}` beside this file") from None
    if leads_out:
        raise UsageError(f"`{item}` lies outside the folder of this file. Put it beside this file or below.")
    if not path.is_file():
        raise UsageError(f"no such file `{item}` beside this file")
    return path
