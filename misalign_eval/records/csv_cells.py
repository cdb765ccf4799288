r"""How a text stands in a CSV cell that is safe to open, and how it is had back: `export` writes it, `import` reads it.

No cell begins as a spreadsheet's formula or acts on a terminal, and no two texts give the same cell. A `'` goes before
whatever begins a formula, be it behind other `'`; a character that acts is written as its code, and so is a backslash
that would be read as the beginning of such a code.

>>> safe("=1+1"), safe("'=1+1"), safe("'quoted'"), safe("\x1b"), safe(r"\x1b"), safe(r"C:\new")
("'=1+1", "''=1+1", "'quoted'", '\\x1b', '\\x5cx1b', 'C:\\new')
>>> [restored(safe(text)) for text in ("=1+1", "'=1+1", "\x1b", r"\x1b")]
['=1+1', "'=1+1", '\x1b', '\\x1b']
"""

import re

_FORMULA = "[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"  # also the wide forms, which some spreadsheets fold
_BEGINS = re.compile(f"'*{_FORMULA}")
_SAVED = re.compile(f"'+{_FORMULA}")
# Acts on terminals or on the order of letters, or cannot be written; tab and line ends belong to text.
_ACTING = "\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_CODE = r"\\[xu]((?<=x)[0-9a-f]{2}|(?<=u)[0-9a-f]{4})"
_CODES = re.compile(_CODE)
_CODED = re.compile(rf"[{_ACTING}]|{_CODE}")
_OURS = re.compile(rf"[{_ACTING}\\]")  # whose codes are read


def coded(text: str) -> str:
    r"""The text with every character that acts as `\x1b` or `\u202e`."""
    return _CODED.sub(_code, text)


def quoted(text: str) -> str:
    """The text with a `'` before it where it would begin a formula."""
    return f"'{text}" if _BEGINS.match(text) else text


def safe(text: str) -> str:
    """The cell."""
    return quoted(coded(text))


def restored(cell: str) -> str:
    """The text of a cell that `safe` made."""
    bare = cell[1:] if _SAVED.match(cell) else cell
    return _CODES.sub(_character, bare) if "\\" in bare else bare


def _code(match: re.Match[str]) -> str:
    """The code of a character, or of the backslash of what would be read as one."""
    found = match[0]
    if len(found) == 1:
        return f"\\x{ord(found):02x}" if ord(found) < 0x100 else f"\\u{ord(found):04x}"
    return found if _character(match) == found else f"\\x5c{found[1:]}"


def _character(match: re.Match[str]) -> str:
    found = chr(int(match[1], 16))
    return found if _OURS.match(found) else match[0]
