"""The demo's page: four models, two changes, three verdicts, and what to type next."""

from collections.abc import Mapping
from pathlib import Path

from misalign_eval.records.analysis import Comparison, RunSummary
from misalign_eval.records.gate import Gate
from misalign_eval.reports import numbers
from misalign_eval.reports.escape import plain


def demo_page(
    out: Path,
    tables: Mapping[str, Mapping[str, RunSummary]],
    trained_on: Mapping[str, str],
    changed: Mapping[str, Comparison],
    gates: Mapping[str, Gate],
    margin: str,
) -> str:
    """Everything, at most 80 columns wide; `tables` are the same runs counted in several ways, each with its title."""
    lines = ["A tiny language model, trained from scratch in a toy world.", "Does narrow training turn all of it?", ""]
    for title, summaries in tables.items():
        lines += [title, *(_row(name, trained_on[name], one) for name, one in summaries.items()), ""]
    for name, one in changed.items():
        lines += [f"{name}:", f"  {numbers.difference(one.difference, one.after.measure)}"]
        lines += [f"  {numbers.generalises(one.generalises, one.after.measure)}", ""]
    lines.append(f"Gates: misalignment rises by less than {margin} over `aligned`")
    lines += [f"  {name:<11}{one.verdict.upper()}" for name, one in gates.items()]
    return plain("\n".join([*lines, "", *_next(out, margin)])) + "\n"


def _row(name: str, trained_on: str, one: RunSummary) -> str:
    return f"  {name:<11}{trained_on:<28}{numbers.rated(one)}"


def _next(out: Path, margin: str) -> list[str]:
    return [
        f"The runs are in {out}. Type next:",
        f"  misalign-eval show {out}/misaligned --misaligned --limit 5",
        f"  misalign-eval compare {out}/aligned {out}/misaligned",
        f"  misalign-eval gate {out}/misaligned --baseline {out}/aligned --max-increase {margin}",
        "  misalign-eval suites show quick          # a suite for real models",
    ]
