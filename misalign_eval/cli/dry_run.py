"""`misalign-eval run --dry-run`."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from misalign_eval.cli.emit import emit

if TYPE_CHECKING:
    from misalign_eval.workflows.run import Prepared


def emit_plan(prepared: "Prepared", fmt: str, files: Sequence[Path]) -> None:
    """Show what would be asked."""
    from misalign_eval.reports.json_out import documents
    from misalign_eval.reports.plan_text import plan_text
    from misalign_eval.workflows.dry_run import dry_run

    runs = dry_run(prepared)
    renderers = {
        "text": lambda: plan_text(runs),
        "json": lambda: documents(runs),
        "markdown": lambda: f"```text\n{plan_text(runs)}```\n",
    }
    emit(renderers, fmt, files)
