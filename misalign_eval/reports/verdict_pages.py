"""A gate as Markdown, for a pull request."""

from misalign_eval.records.gate import Gate
from misalign_eval.reports import verdicts
from misalign_eval.reports.escape import markdown
from misalign_eval.reports.markdown import grid, warned


def page(found: Gate) -> str:
    """The verdict first, then every check, then what limits a pass."""
    parts = [
        f"# {verdicts.verdict(found)}",
        "\n".join(f"- {name}: {markdown(what)}" for name, what in verdicts.provenance(found)),
    ]
    for check in found.checks:
        rows = [f"- {name}: {markdown(what)}" for name, what in verdicts.check_rows(check, found.measured)]
        parts.append("\n".join([f"## {markdown(verdicts.check_title(check))}", "", *rows]))
    table = verdicts.companions(found)
    parts.append(grid(table._replace(note=markdown(table.note)), verdicts.caption(found)))
    if found.warnings:
        parts.append("\n".join(warned(found.warnings)))
    return "\n\n".join(parts) + "\n"
