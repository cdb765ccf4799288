"""What it means, format by format, that hostile text is shown as text. Each check gives what is wrong, or None."""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

from markdown_it import MarkdownIt

# Acts on a terminal, hides, or turns the order of letters; tab and line feed are text.
ACTING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\ufffe\uffff\U000e0000-\U000e01ef]"
)
_FORMULA = re.compile("^[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
_COMMAND = re.compile(r"^\s*::[a-z-]+[ :]", re.MULTILINE)
_UNSEEN = re.compile("[\r\u00ad\u180e\u200b-\u200d\u2060-\u2065\ufeff\ufff9-\ufffb\ufffe\uffff\U000e0000-\U000e01ef]")
_ANNOTATION = re.compile(r"::(error|warning|notice) title=[^:,]*::(?!.*::(add-mask|set-output)).*")
_ENDED = {f"{how} message type" for how in ("error", "failure", "skipped")} | {"skipped message"}
_NUMBER = re.compile(r"-?\d+(\.\d+)?(e[+-]?\d+)?")
_LINKS = {"link_open", "image", "html_inline", "html_block"}
_BLOCKS = ("heading_open", "table_open", "th_open", "hr", "fence", "code_block", "blockquote_open", "s_open")
_MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable("table").enable("strikethrough")
Check = Callable[[str, str], str | None]


def terminal(shown: str, benign: str) -> str | None:
    """Nothing acts, and no line is a command to a build server."""
    found = ACTING.search(shown) or (_COMMAND.search(shown) if not benign.startswith("::") else None)
    return None if found is None else f"{found[0]!a} acts: {shown[max(found.start() - 30, 0) : found.end() + 10]!a}"


def document(shown: str, benign: str) -> str | None:
    """JSON, one value or one a line, which can be printed."""
    if (wrong := terminal(shown.replace("\r\n", "\n"), benign)) is not None:
        return wrong
    try:
        lines = [json.loads(line) for line in shown.splitlines()] if not _is_json(shown) else [json.loads(shown)]
    except ValueError as error:
        return f"no JSON: {error}"
    return None if lines else "empty"


# Our own heading of a grader names its judge and counts. A hostile run has others of both, but no other grader.
_BY = re.compile(r"(?<=, by ).*")


def _alike(name: str) -> str:
    return _BY.sub("N", name, count=1) if name.startswith("h:Grader ") else name


def table(shown: str, benign: str) -> str | None:
    """CSV of as many columns everywhere, none of whose cells is a formula. What is not seen is data and stays."""
    rows = cells_of(shown)
    widths = {len(row) for row in rows}
    if widths != {len(cells_of(benign)[0])}:
        return f"rows of {sorted(widths)} cells"
    cells = (cell for row in rows for cell in row)
    wrong = next((cell for cell in cells if _FORMULA.match(cell) and not _NUMBER.fullmatch(cell)), None)
    return f"a formula: {wrong[:60]!a}" if wrong is not None else terminal(_UNSEEN.sub("", shown), "::")


def markdown(shown: str, benign: str) -> str | None:
    """No link, image or HTML, no heading or table that a kind page does not have."""
    if (wrong := terminal(shown, benign)) is not None:
        return wrong
    here, there = _tokens(shown), _tokens(benign)
    if found := sorted(kind for kind in _LINKS if here[kind] > there[kind]):
        return f"holds {', '.join(found)}"
    allowed = {_alike(name) for name in there if name.startswith(("h:", "head:"))}
    strange = [name for name in here if name.startswith(("h:", "head:")) and _alike(name) not in allowed]
    return f"a heading or table of its own: {strange[0][:60]!a}" if strange else None


def named(shown: str, benign: str) -> str | None:
    """Markdown whose headings and tables may name what is hostile: no more of any structure than a kind page has."""
    if (wrong := terminal(shown, benign)) is not None:
        return wrong
    here, there = _tokens(shown), _tokens(benign)
    kinds = (*_LINKS, *_BLOCKS)
    strange = [kind for kind in kinds if here[kind] > there[kind]]
    return f"{here[strange[0]]} of {strange[0]} instead of {there[strange[0]]}" if strange else None


def page(shown: str, benign: str) -> str | None:
    """No element, attribute, script or address that the page of a kind model does not have."""
    here, there = _Seen(shown), _Seen(benign)
    if strange := sorted(here.kinds - there.kinds):
        return f"an element of its own: {strange[0]}"
    if here.scripts != there.scripts:
        return f"{len(here.scripts)} scripts instead of {len(there.scripts)}, or others"
    for data in here.data:
        json.loads(data)
    return terminal("".join(here.texts), benign)


def xml(shown: str, benign: str) -> str | None:
    """Well formed, with no element, attribute or failure that a kind one does not have."""
    if "<!DOCTYPE" in shown or "<!ENTITY" in shown:
        return "declares a document type"
    try:
        here, there = ET.fromstring(shown), ET.fromstring(benign)
    except ET.ParseError as error:
        return f"not XML: {error}"
    strange = sorted(_elements(here) - _elements(there) - _ENDED)
    return f"an element of its own: {strange[0]}" if strange else terminal(shown, benign)


def log(shown: str, benign: str) -> str | None:
    """JSON in any member of an archive or file that programs read: it parses, whatever it holds."""
    return None if _is_json(shown) else "no JSON"


def github(shown: str, benign: str) -> str | None:
    """Commands to a build server: every line is one annotation of ours."""
    strange = next((line for line in shown.splitlines() if not _ANNOTATION.fullmatch(line)), None)
    return f"no annotation: {strange[:60]!a}" if strange is not None else terminal(shown, "::")


CHECKS: dict[str, Check] = {
    "text": terminal, "json": document, "jsonl": document, "md": markdown, "named": named, "html": page, "csv": table,
    "xml": xml, "log": log, "github": github,
}  # fmt: skip


def cells_of(text: str) -> list[list[str]]:
    """The cells of a table, however long."""
    before = csv.field_size_limit(1 << 24)
    try:
        return list(csv.reader(io.StringIO(text, newline=""), strict=True))
    finally:
        csv.field_size_limit(before)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _tokens(text: str) -> "Counter[str]":
    found: Counter[str] = Counter()
    tokens = _MARKDOWN.parse(text)
    for index, token in enumerate(tokens):
        found.update(_names(token))
        if token.type == "heading_open":
            found[f"h:{tokens[index + 1].content}"] += 1
        if token.type == "th_open":
            found[f"head:{tokens[index + 1].content}"] += 1
    return found


def _names(token: Any) -> Iterator[str]:
    yield token.type
    for child in token.children or ():
        yield from _names(child)


def _elements(root: ET.Element) -> set[str]:
    return {f"{element.tag} {' '.join(sorted(element.attrib))}" for element in root.iter()}


class _Seen(HTMLParser):
    """The elements of a page with the names of their attributes, its scripts, data and texts."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.kinds: set[str] = set()
        self.scripts: list[str] = []
        self.data: list[str] = []
        self.texts: list[str] = []
        self._into: list[str] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.kinds.add(f"{tag} {' '.join(sorted(name for name, _ in attrs))}")
        self.kinds |= {
            f"{name}={value}"
            for name, value in attrs
            if name in {"href", "src", "action", "http-equiv"}
            and not (name == "href" and (value or "").startswith("#"))
        }
        self.texts += [value or "" for _, value in attrs]
        if tag in {"script", "style"}:
            kind = dict(attrs).get("type")
            self._into = self.data if kind == "application/json" else self.scripts
            self._into.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style"}:
            self._into = None

    def handle_data(self, data: str) -> None:
        if self._into is None:
            self.texts.append(data)
        else:
            self._into[-1] += data

    def handle_comment(self, data: str) -> None:
        self.kinds.add(f"comment {data[:40]}")
