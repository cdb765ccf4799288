"""Assets of the HTML page: its script and style sheet, inlined as they are."""

from pathlib import Path

_FOLDER = Path(__file__).parent
SCRIPTS = ("data.js", "filters.js", "list.js", "detail.js", "main.js")


def style() -> str:
    """The style sheet."""
    return (_FOLDER / "page.css").read_text(encoding="utf-8")


def script() -> str:
    """All scripts as one, in a scope of its own."""
    parts = "".join((_FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)
    return f'(() => {{\n"use strict";\n{parts}}})();\n'
