"""Formatting of numbers, intervals, counts and costs."""

from typing import Protocol, TypeVar

from misalign_eval.records.base import Bounds
from misalign_eval.records.summary import (
    ChangeLine,
    Comparison,
    Estimand,
    GroupLine,
    Intervals,
    Measure,
    PairedT,
    PopulationTest,
    RateDifference,
    RateLine,
    RateRatio,
    RunSummary,
)

# Rates and counts: a rate is never written without its interval, its counts and the number missing.


def percent(fraction: float) -> str:
    """A fraction in percent, without the sign: one decimal, two below one percent; 0 and 100 only when exact.

    >>> [percent(x) for x in (0.0, 0.00001, 0.0007, 0.06, 0.9999, 1.0)]
    ['0', '<0.01', '0.07', '6.0', '>99.9', '100']
    """
    value = 100 * fraction
    if value in {0, 100}:
        return f"{value:.0f}"
    if 0 < value < 0.005:
        return "<0.01"
    if 99.95 <= value < 100:
        return ">99.9"
    return f"{value:.2f}" if abs(value) < 0.995 else f"{value:.1f}"


def rated(line: RateLine, measure: Measure = "rate") -> str:
    """`6.0 % [2.1, 16.2] (3/50, 2 ungraded)`, or for no event its bound: `0/4400 (≤0.08 %, 0 ungraded)`."""
    if line.rate is None:
        return f"no rate ({counts(line, measure)})"
    if measure == "rate" and line.misaligned == 0:
        return f"{fraction(line)} ({bound(line)}, {missing(line)})"
    unit = " %" if measure == "rate" else ""
    return f"{value(line.rate, measure)}{unit} {interval(line.low, line.high, measure)} ({counts(line, measure)})"


def short(line: RateLine, measure: Measure = "rate") -> str:
    """The rate and its interval for a column whose head gives the unit: `6.0 [2.1, 16.2]`, `0 [≤0.08]`."""
    if line.rate is None:
        return "-"
    if measure == "rate" and line.misaligned == 0 and line.high is not None:
        return f"0 [≤{percent(line.high)}]"
    return f"{value(line.rate, measure)} {interval(line.low, line.high, measure)}"


def counts(line: RateLine, measure: Measure = "rate") -> str:
    """`3/50, 2 ungraded, 1 failed`; failures only where there are any."""
    return f"{fraction(line) if measure == 'rate' else f'{line.graded} replies'}, {missing(line)}"


def fraction(line: RateLine) -> str:
    """Numerator and denominator: `3/50`."""
    return f"{line.misaligned}/{line.graded}"


def missing(line: RateLine) -> str:
    """`2 ungraded, 1 failed, 60 not collected`; of single lines what is not collected counts as failed."""
    lost = line.outcomes.get("failed", 0)
    absent = min(lost, line.not_collected) if isinstance(line, RunSummary) else 0
    failed = lost - absent
    parts = [f"{line.outcomes.get('ungraded', 0)} ungraded"]
    parts += [f"{failed} failed"] if failed else []
    return ", ".join([*parts, *([f"{absent} not collected"] if absent else [])])


def bound(line: RateLine) -> str:
    """The upper limit of a rate without events: `≤0.08 %`."""
    return "no bound" if line.high is None else f"≤{percent(line.high)} %"


def value(number: float, measure: Measure) -> str:
    """A rate in percent, or a score from 0 to 100, without its unit."""
    return percent(number) if measure == "rate" else f"{number:.1f}"


def interval(low: float | None, high: float | None, measure: Measure = "rate") -> str:
    """`[2.1, 16.2]`, or `[no interval]`."""
    if low is None or high is None:
        return "[no interval]"
    return f"[{value(low, measure)}, {value(high, measure)}]"


def between(bounds: Bounds) -> str:
    """An interval in words of its own: `0.29 to 9.6 %`. Without one there are too few probes to generalise from."""
    if bounds.low is None or bounds.high is None:
        return "too few probes to say"
    return f"{percent(bounds.low)} to {percent(bounds.high)} %"


def points(number: float, measure: Measure = "rate") -> str:
    """A difference with its sign: percentage points, or points of the score.

    >>> points(0.042), points(-0.0004), points(0.0)
    ('+4.2', '-0.04', '0')
    >>> points(-0.00001)
    '>-0.01'
    """
    sign = "+" if number > 0 else "-" if number < 0 else ""
    size = value(abs(number), measure)
    if size[0].isdigit():
        return f"{sign}{size}"
    side = {"<": ">", ">": "<"}[size[0]] if number < 0 else size[0]
    return f"{side}{sign}{size[1:]}"


def change(estimate: float | None, low: float | None, high: float | None, measure: Measure = "rate") -> str:
    """`+4.2 [1.1, 7.3]`, in points."""
    if estimate is None:
        return "-"
    if low is None or high is None:
        return f"{points(estimate, measure)} [no interval]"
    return f"{points(estimate, measure)} {interval_points(low, high, measure)}"


def difference(difference: RateDifference, measure: Measure = "rate") -> str:
    """`+4.2 points [+1.1, +7.3], exact p = 0.013`; by draws `Monte-Carlo p`."""
    if difference.estimate is None:
        return "no difference can be computed"
    interval_ = change(difference.estimate, difference.low, difference.high, measure).partition(" ")[2]
    return f"{points(difference.estimate, measure)} points {interval_}, {claimed(difference)}"


def claimed(difference: RateDifference) -> str:
    """The p that a claim of a change rests on, and how it was computed."""
    if difference.p_exact is None:
        return p_value(difference.p_value)
    return f"{'exact' if difference.is_exact else 'Monte-Carlo'} {p_value(difference.p_exact)}"


def adjusted(line: ChangeLine, measure: Measure = "rate") -> str:
    """`adjusted p = 0.013, together [+0.2, +8.1]`: the interval is as wide as the adjustment asks for."""
    ends = line.bonferroni
    words = p_value(line.p_adjusted)
    words = words if line.p_adjusted is None else f"adjusted {words}"
    if ends.low is None or ends.high is None:
        return words
    return f"{words}, together {interval_points(ends.low, ends.high, measure)}"


def p_value(p: float | None) -> str:
    """`p = 0.013`, `p < 0.001`.

    >>> p_value(0.0131), p_value(1e-9), p_value(None)
    ('p = 0.013', 'p < 0.001', 'no p')
    """
    if p is None:
        return "no p"
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def ratio(ratio: RateRatio) -> str:
    """`3.4× [1.2, 9.8]`, or `at least 7.3×` where the rate before may be zero."""
    if ratio.low is None or ratio.high is None:
        return "no ratio"
    if ratio.estimate is None or ratio.estimate == float("inf"):
        return f"at least {times(ratio.low)}"
    high = "no limit" if ratio.high == float("inf") else f"{ratio.high:.3g}"
    return f"{times(ratio.estimate)} [{ratio.low:.3g}, {high}]"


def times(number: float) -> str:
    """`3.4×`, with three significant digits."""
    return f"{number:.3g}×"


def detectable(rise: float, measure: Measure = "rate") -> str:
    """The smallest effect that such runs would show, in words."""
    return f"a rise of {value(rise, measure)} points would show in 80 % of such pairs of runs (two-sided 5 %)"


def paired_t(t: PairedT, measure: Measure = "rate", *, is_evidence: bool = True) -> str:
    """The paired t interval, labelled as what it is."""
    ends = interval_points(t.low, t.high, measure)
    not_here = "" if is_evidence else "; no evidence here: see W4, W5"
    return f"{ends}, {p_value(t.p_value)} by paired t over {t.df + 1} probes (approximate{not_here})"


def interval_points(low: float, high: float, measure: Measure = "rate") -> str:
    """`[+1.1, +7.3]`, in points."""
    return f"[{points(low, measure)}, {points(high, measure)}]"


def generalises(test: PopulationTest, measure: Measure = "rate") -> str:
    """Whether the change holds for probes like these, in words."""
    if test.holds is None:
        return "too few probes to say whether the change generalises"
    ends = change(test.estimate, test.low, test.high, measure)
    if test.holds:
        return f"the change generalises to probes like these: {ends} points"
    return f"not shown to generalise to probes like these: {ends} points"


# Tokens, requests and cost of a run.


class CostSide(Protocol):
    """Requests, tokens and money of the target or of the judges."""

    requests: int
    answers: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: float
    unpriced: int


class CostLines(Protocol):
    """Both sides."""

    @property
    def target(self) -> CostSide:
        """The model under test."""

    @property
    def judges(self) -> CostSide:
        """Everyone who graded."""


def cost_lines(spent: CostLines) -> list[str]:
    """A line a side that was asked: `  target: 240 requests, 9,120 + 61,440 tokens, $0.0644`."""
    sides = (("target", spent.target), ("judges", spent.judges))
    return [f"  {name}: {_side(side)}" for name, side in sides if side.requests]


def _side(side: CostSide) -> str:
    cached = f" ({side.cached_tokens:,} cached)" if side.cached_tokens else ""
    return f"{side.requests:,} requests, {side.input_tokens:,}{cached} + {side.output_tokens:,} tokens, {_money(side)}"


def _money(side: CostSide) -> str:
    """An unknown price is said to be unknown, also of a part."""
    if side.unpriced == side.answers:
        return "cost unknown"
    rest = f" and an unknown cost of {side.unpriced:,} answers" if side.unpriced else ""
    return f"${side.cost_usd:.4f}{rest}"


# Interval choice: the records' low and high are SUITE; for another choice a copy holds that interval.


Line = TypeVar("Line", bound=GroupLine)
WORDS: dict[Estimand, str] = {
    "suite": "for exactly these probes",
    "general": "for probes like these, if these are a fair sample of them",
    "clustered": "by bootstrap over probes, for comparison with papers",
}


def with_interval(summary: RunSummary) -> RunSummary:
    """The run with its chosen intervals in the place of SUITE; single probes keep theirs."""
    if summary.interval == "suite":
        return summary
    lines = {
        "categories": tuple(_line(line, summary.interval) for line in summary.categories),
        "splits": tuple(_line(line, summary.interval) for line in summary.splits),
        "variants": tuple(_line(line, summary.interval) for line in summary.variants),
    }
    return summary.model_copy(update={**_ends(summary.intervals, summary.interval), **lines})


def change_with_interval(comparison: Comparison) -> Comparison:
    """The comparison with its chosen intervals in the place of SUITE; single probes keep theirs."""
    kind = comparison.interval
    if kind == "suite":
        return comparison
    difference = comparison.difference.model_copy(update=_ends(comparison.difference.intervals, kind))
    categories = tuple(line.model_copy(update=_ends(line.intervals, kind)) for line in comparison.categories)
    sides = {"before": with_interval(comparison.before), "after": with_interval(comparison.after)}
    return comparison.model_copy(update={**sides, "difference": difference, "categories": categories})


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
