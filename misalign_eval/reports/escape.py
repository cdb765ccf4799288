"""Escaping of hostile text for terminals, Markdown and HTML."""

import re
import unicodedata
from collections.abc import Iterable
from html import escape

# Escaping of replies, judges' words and provider messages, which pass through here on every way out.


NO_TEXT = "(the text was not published)"  # in place of a reply that came as a judgment alone
NO_WORDS = "(the words of the question are not known: the results name it only by its id)"
_KEPT = frozenset("\n\t")
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")  # printable by category, blank on the screen
_VARIATION = re.compile("[\ufe00-\ufe0d\U000e0100-\U000e01ef]")  # U+FE0E and U+FE0F only choose the look of an emoji
_MARKDOWN = re.compile(r"[\\`*_\[\]<>|~$&!]|^[#+=-]|^\d+(?=[.)])|:(?=//)|(?<=www)[.]")
_LATEX = {char: f"\\{char}" for char in "{}$&#%_"} | {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\char34}",
    "`": r"\textasciigrave{}",
    "-": "{-}",  # two are a dash
    "'": "{'}",
    "[": "{[}",  # after a line end it would be a length
    "]": "{]}",
}
_SPACES = re.compile(r"\s+")
# What build servers take for a command in the log of a job: GitHub's and its older form, Azure's, TeamCity's.
_COMMAND = re.compile(
    r":(?=:(?:add-(?:mask|matcher|path)|debug|echo|endgroup|error|group|internal-set-repo-path|notice|remove-matcher"
    r"|save-state|set-env|set-output|stop-commands|warning)\b)|#(?=#(?:\[|vso\[|teamcity\[))",
    re.IGNORECASE,
)


def plain(text: str) -> str:
    r"""Show what would act on a terminal or hide: control characters, escapes, bidi overrides, zero-width, surrogates.

    So with what a build server would obey in the log of a job. Newlines and tabs stay, `\r\n` becomes a newline;
    everything else that is visible stays as it is.

    >>> plain("\x1b[2Jgone\u202e\x00"), plain("::error::x"), plain("std::vector")
    ('\\x1b[2Jgone\\u202e\\x00', '\\x3a:error::x', 'std::vector')
    """
    if not (text.isprintable() and text.isascii()):
        text = "".join(map(_shown, text.replace("\r\n", "\n")))
    return _COMMAND.sub(lambda match: _code(match[0]), text) if "::" in text or "##" in text else text


def one_line(text: str, length: int | None = None) -> str:
    r"""`plain` on a single line, cut to `length` characters with `...` at the end.

    >>> one_line("first\n\n  second", 10)
    'first s...'
    """
    if length is not None:
        text = text[: 20 * length + 200]  # a reply of megabytes is not escaped to show one line of it
    line = _SPACES.sub(" ", plain(text)).strip()
    return line if length is None or len(line) <= length else line[: max(length - 3, 0)] + "..."


def markdown(text: str) -> str:
    r"""`one_line`, with every character that Markdown or HTML could read as its own made literal.

    Fit for a table cell and for a paragraph.

    >>> markdown("a|b <img src=x> [c](http://d)")
    'a\\|b \\<img src=x\\> \\[c\\](http\\://d)'
    """
    return _MARKDOWN.sub(_literal, one_line(text))


def html(text: str) -> str:
    r"""`plain`, with every character that HTML could read as its own made literal: for text and for attributes.

    >>> html('<a href="x">\x1b[1m&')
    '&lt;a href=&quot;x&quot;&gt;\\x1b[1m&amp;'
    """
    return escape(plain(text), quote=True)


def latex(text: str) -> str:
    r"""`one_line`, with every character that TeX could read as its own made literal.

    >>> print(latex(r"50 % of \input{/etc/passwd} & $x_1^2$"))
    50 \% of \textbackslash{}input\{/etc/passwd\} \& \$x\_1\textasciicircum{}2\$
    """
    return "".join(_LATEX.get(char, char) for char in one_line(text))


def fenced(text: str, *, info: str = "text") -> str:
    """Put text of many lines in a Markdown code block whose fence is longer than any in the text."""
    shown = plain(text)
    runs = (len(run) for run in re.findall(r"`+", shown))
    fence = "`" * max(3, max(runs, default=0) + 1)
    return f"{fence}{info}\n{shown}\n{fence}"


def _literal(match: re.Match[str]) -> str:
    mark = match[0]
    return f"{mark}\\" if mark.isdigit() else f"\\{mark}"


def _shown(char: str) -> str:
    if char in _KEPT or (char.isascii() and char.isprintable()):
        return char
    if char in _INVISIBLE or _VARIATION.match(char):
        return _code(char)
    return char if char.isprintable() or unicodedata.category(char) == "Zs" else _code(char)


def _code(char: str) -> str:
    point = ord(char)
    if point < 0x100:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


# The type `Html`: text becomes `Html` only by being escaped.


VOID = frozenset({"meta", "line", "circle", "rect", "path", "polygon", "polyline", "br", "input"})


class Html(str):
    """Text that is HTML already. Everything else is escaped where it is put in."""

    __slots__ = ()


Child = str | Html


def el(name: str, /, *children: Child, **attributes: str | float | bool | None) -> Html:
    r"""One element. Of an attribute's name a trailing `_` is cut and `_` stands for `-`; None and False leave it out.

    >>> el("p", "1 < 2", el("b", "x"), class_="note")
    '<p class="note">1 &lt; 2<b>x</b></p>'
    """
    opened = f"<{name}{''.join(_attributes(attributes))}>"
    if name in VOID:
        return Html(opened if name in {"meta", "br", "input"} else f"{opened[:-1]}/>")
    return Html(f"{opened}{join(children)}</{name}>")


def join(children: Iterable[Child]) -> Html:
    """Several in a row."""
    return Html("".join(child if isinstance(child, Html) else html(child) for child in children))


def lines(text: str) -> Html:
    """Text with its line breaks."""
    return Html("<br>".join(html(line) for line in text.split("\n")))


def _attributes(given: dict[str, str | float | bool | None]) -> Iterable[str]:
    for name, value in given.items():
        if value is None or value is False:
            continue
        key = name.rstrip("_").replace("_", "-")
        yield f" {key}" if value is True else f' {key}="{_value(value)}"'


def _value(value: str | float) -> str:
    """Coordinates have at most two decimals."""
    return html(value) if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
