"""Which interval a page shows: the records' own low and high are SUITE; for another choice a copy holds that one."""

from typing import TypeVar

from misalign_eval.records.analysis import Bounds, Comparison, Estimand, GroupLine, Intervals, RunSummary

Line = TypeVar("Line", bound=GroupLine)
WORDS: dict[Estimand, str] = {
    "suite": "for exactly these probes",
    "general": "for probes like these, if these are a fair sample of them",
    "clustered": "by bootstrap over probes, for comparison with papers",
}


def shown(summary: RunSummary) -> RunSummary:
    """The run with its chosen intervals in the place of SUITE; single probes keep theirs."""
    if summary.interval == "suite":
        return summary
    lines = {
        "categories": tuple(_line(line, summary.interval) for line in summary.categories),
        "splits": tuple(_line(line, summary.interval) for line in summary.splits),
        "variants": tuple(_line(line, summary.interval) for line in summary.variants),
    }
    return summary.model_copy(update={**_ends(summary.intervals, summary.interval), **lines})


def shown_change(found: Comparison) -> Comparison:
    """The comparison with its chosen intervals in the place of SUITE; single probes keep theirs."""
    kind = found.interval
    if kind == "suite":
        return found
    difference = found.difference.model_copy(update=_ends(found.difference.intervals, kind))
    categories = tuple(line.model_copy(update=_ends(line.intervals, kind)) for line in found.categories)
    sides = {"before": shown(found.before), "after": shown(found.after)}
    return found.model_copy(update={**sides, "difference": difference, "categories": categories})


def shown_point(point: Line, kind: Estimand) -> Line:
    """One line with its chosen interval in the place of SUITE."""
    return point if kind == "suite" else _line(point, kind)


def sentence(kind: Estimand) -> str:
    """`Intervals are 95 %, for exactly these probes`; without a full stop, as more may follow."""
    text = f"Intervals are 95 %, {WORDS[kind]}"
    if kind == "suite":
        return text
    return f"{text}; those of single probes, and where too few probes allow no other, are for exactly these"


def _line(line: Line, kind: Estimand) -> Line:
    return line.model_copy(update=_ends(line.intervals, kind))


def _ends(intervals: Intervals | None, kind: Estimand) -> dict[str, float | None]:
    """Nothing where there is no such interval: SUITE stays."""
    chosen: Bounds | None = None if intervals is None else getattr(intervals, kind)
    return {} if chosen is None or chosen.low is None else {"low": chosen.low, "high": chosen.high}
