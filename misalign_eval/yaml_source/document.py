"""Reading a file into a Document, with every fault of the file itself said in words."""

import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import JsonValue
from yaml.reader import Reader

from misalign_eval.errors import InputError, Problem
from misalign_eval.yaml_source.nodes import Node, TreeBuilder, dotted

MAX_BYTES = 5_000_000
Loc = tuple[str | int, ...]

_HINTS = (
    ("mapping values are not allowed", "Quote text that holds `: `, and check the indentation."),
    ("cannot start any token", "Quote text that begins with a special character."),
    ("invalid Unicode character escape", "Write the character itself."),
    ("unknown escape character", "Use single quotes, or write a backslash as `\\\\`."),
    ("while scanning a quoted scalar", "Close the quotation mark."),
    ("expected <block end>", "Check the indentation, and quote text that goes on after a closing quotation mark."),
    ("could not find expected ':'", "Check the indentation, or write `key: value`."),
    ("expected ',' or ']'", "Close the bracket, or put a comma between the items."),
    ("expected ',' or '}'", "Close the brace, or put a comma between the entries."),
)
_INDENTED_BY_TAB = re.compile(r" *\t")


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML file that could be read. `problems` are the faults of single values; `data` raises them."""

    file: str
    root: Node = field(repr=False)
    problems: tuple[Problem, ...] = ()

    @property
    def data(self) -> JsonValue:
        """The content as plain JSON types. Raises InputError when any value of the file is at fault."""
        if self.problems:
            raise InputError(self.problems)
        return self.root.plain()

    def line_of(self, loc: Loc) -> int | None:
        """The line (from 1) of the key or item at `loc`; of the nearest thing that holds it when it is not there."""
        line, node = self.root.line, self.root
        for part in loc:
            if (found := node.child(part)) is not None:
                line, node = found
        return line

    def holds(self, loc: Loc) -> bool:
        """Whether there is a value at `loc`."""
        node = self.root
        for part in loc:
            if (found := node.child(part)) is None:
                return False
            node = found[1]
        return True

    def problem(self, loc: Loc, what: str, fix: str = "") -> Problem:
        """A problem of the value at `loc`: its file, line and dotted path, on one line whatever the value holds."""
        return Problem(self.file, self.line_of(loc), dotted(loc), " ".join(what.split()), fix)


def load(path: Path) -> Document:
    """Read a YAML file of at most 5 MB. Raises InputError when it cannot be read as one document of YAML."""
    return loads(read_at_most(path, MAX_BYTES), str(path))


def read_at_most(path: Path, most: int) -> bytes:
    """The bytes of a file. Raises InputError when there is none, or it is larger than `most`."""
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except FileNotFoundError:
        raise InputError([Problem(str(path), None, "", "no such file")]) from None
    except IsADirectoryError:
        raise InputError([Problem(str(path), None, "", "a folder, not a file")]) from None
    except OSError as error:
        raise InputError([Problem(str(path), None, "", f"cannot be read: {error.strerror}")]) from None
    _check_size(content, most, str(path))
    return content


def _check_size(content: bytes, most: int, file: str) -> None:
    if len(content) > most:
        raise InputError([Problem(file, None, "", f"larger than {most // 1_000_000} MB", "Split it.")])


def loads(content: bytes, file: str) -> Document:
    """Read YAML that is already in memory; `file` is its name in messages. Raises InputError as `load` does."""
    _check_size(content, MAX_BYTES, file)
    text = _decoded(content, file)
    builder = TreeBuilder(file)
    read_to: Any = None  # the mark behind the last event
    try:
        for event in yaml.parse(text, Loader=_loader()):
            builder.feed(event)
            read_to = event.end_mark
    except yaml.YAMLError as error:
        _check_depth(builder, text, read_to, error)
        raise InputError([*builder.problems, _syntax(error, text, file)]) from None
    if builder.root is None:
        raise InputError([Problem(file, None, "", "the file is empty")])
    return Document(file, builder.root, tuple(builder.problems))


def _check_depth(builder: TreeBuilder, text: str, read_to: Any, error: yaml.YAMLError) -> None:  # noqa: ANN401  a mark
    """Raise our own refusal where the parser gave up among brackets that lead deeper than the builder allows.

    Newer versions of libyaml have a limit of their own, and read a kilobyte ahead of the events they have given: its
    words would name neither our limit nor what to do.
    """
    start = (0, 0) if read_to is None else (int(read_to.index), int(read_to.line))
    mark = getattr(error, "problem_mark", None)
    unread = text[start[0] : len(text) if mark is None else int(mark.index) + 1]
    if unread.count("[") + unread.count("{") < builder.levels_left:
        return
    open_now = 0
    with suppress(yaml.YAMLError):
        for token in yaml.scan(unread, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.FlowSequenceStartToken | yaml.FlowMappingStartToken):
                open_now += 1
            elif isinstance(token, yaml.FlowSequenceEndToken | yaml.FlowMappingEndToken):
                open_now -= 1
            if open_now > builder.levels_left:
                builder.refuse_depth(start[1] + int(token.start_mark.line) + 1)


def _loader() -> Any:  # noqa: ANN401  two classes without a common base in the type stubs
    """The parser of libyaml where PyYAML was built with it: 5 MB take seconds, not a minute."""
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _decoded(content: bytes, file: str) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError([Problem(file, line, "", "not UTF-8", "Save the file as UTF-8.")]) from None
    if found := Reader.NON_PRINTABLE.search(text):
        line = text.count("\n", 0, found.start()) + 1
        what = f"control character {found.group()!a}"
        raise InputError([Problem(file, line, "", what, "Take it away, or write it as an escape in double quotes.")])
    return text


def _syntax(error: yaml.YAMLError, text: str, file: str) -> Problem:
    line = _line_of(error)
    if line is not None and _INDENTED_BY_TAB.match(_written_on(line, text)):
        return Problem(file, line, "", "a tab in the indentation", "Use spaces.")
    html = ", ".join(str(part) for part in (getattr(error, "context", None), getattr(error, "problem", None)) if part)
    fix = next((hint for sign, hint in _HINTS if sign in html), "")
    return Problem(file, line, "", f"not valid YAML: {html or 'cannot be parsed'}", fix)


def _written_on(line: int, text: str) -> str:
    """A line as the parser counts them, for which U+0085 and U+2028 end lines as well; empty behind the last."""
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", text)
    return lines[line - 1] if line <= len(lines) else ""


def _line_of(error: yaml.YAMLError) -> int | None:
    """Where it went wrong; of a quotation that never closes, where it opens."""
    names = ["problem_mark", "context_mark"]
    if "quoted scalar" in str(getattr(error, "context", "")):
        names.reverse()
    mark = next((mark for name in names if (mark := getattr(error, name, None)) is not None), None)
    return None if mark is None else int(mark.line) + 1
