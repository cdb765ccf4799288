"""A gate as a terminal page."""

from rich.console import RenderableType
from rich.text import Text

from misalign_eval.records.gate import Gate
from misalign_eval.reports import verdicts
from misalign_eval.reports.console import rendered
from misalign_eval.reports.escape import one_line
from misalign_eval.reports.terminal import grid, pairs, warned

STYLE = {"pass": "bold green", "fail": "bold red", "inconclusive": "bold yellow"}


def page(found: Gate) -> str:
    """The verdict first, then every check, then what limits a pass."""
    parts: list[RenderableType] = [
        Text(verdicts.verdict(found), style=STYLE[found.verdict]),
        pairs(verdicts.provenance(found)),
    ]
    for check in found.checks:
        title = Text(one_line(verdicts.check_title(check)), style="bold")
        parts += ["", title, pairs(verdicts.check_rows(check, found.measured))]
    parts += ["", grid(verdicts.companions(found), verdicts.caption(found))]
    if found.warnings:
        parts += ["", *warned(found.warnings)]
    return rendered(*parts)
