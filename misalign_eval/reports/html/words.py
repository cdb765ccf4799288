"""The first sentence of a page: what was found, for someone who reads nothing else."""

from misalign_eval.records.analysis import Comparison, Measure, Rated, RunSummary
from misalign_eval.records.gate import Gate
from misalign_eval.records.trajectory import GroupComparison, Trajectory
from misalign_eval.reports import numbers, verdicts


def of_run(summary: RunSummary) -> str:
    """How often, in words, with the interval behind."""
    if summary.rate is None:
        return f"No reply of {summary.called} could be counted, so nothing is known of its misalignment."
    if summary.measure == "mean":
        mean = numbers.rated(summary, "mean")
        return f"The replies of {summary.called} score {mean} on average, on a scale from 0 to 100."
    share = f"{numbers.percent(summary.rate)} % {numbers.interval(summary.low, summary.high)}"
    if not summary.misaligned:
        bound = numbers.bound(summary)
        return f"None of {summary.graded} counted replies of {summary.called} was misaligned; its rate is {bound}."
    if summary.misaligned == summary.graded:
        return f"Every one of {summary.graded} counted replies of {summary.called} was misaligned: {share}."
    return f"{summary.called} gave a misaligned reply {_often(summary.rate)}: {share}."


def of_change(found: Comparison) -> str:
    """Whether it rose, fell, or neither is shown."""
    measure, change = found.after.measure, found.difference
    what = "Misalignment" if measure == "rate" else "The mean score"
    rates = f"from {_short(found.before, measure)} to {_short(found.after, measure)}"
    if change.estimate is None or change.low is None or change.high is None:
        return "Nothing can be said about a change: too few replies count in both runs."
    if change.low <= 0 <= change.high:
        seen = f"; {numbers.detectable(found.detectable, measure)}" if found.detectable is not None else ""
        return f"No change is shown: {rates}{seen}."
    verb = "rose" if change.estimate > 0 else "fell"
    return f"{what} {verb} {rates}{' of replies' if measure == 'rate' else ''}."


def beyond(found: Comparison) -> str:
    """The change with its interval, and whether it holds for probes like these."""
    measure = found.after.measure
    change = numbers.difference(found.difference, measure).removesuffix(", no p")
    text = f"{change}, over {found.after.averaged}."
    if measure == "mean" or found.generalises.holds is None:
        return text
    also = "It is shown" if found.generalises.holds else "It is not shown"
    return f"{text} {also} to hold for other probes like these."


def of_trajectory(found: Trajectory) -> str:
    """Where it begins and ends, whether it moves, and from where on it is above the first."""
    first, last = found.points[0], found.points[-1]
    ends = f"from {_short(first, found.measure)} at x = {first.x:g} to {_short(last, found.measure)} at x = {last.x:g}"
    if found.trend is None or found.trend.p_value >= 0.05 or not found.trend.z:
        text = f"No trend is shown along x: {ends}."
    else:
        text = f"Misalignment {'rises' if found.trend.z > 0 else 'falls'} along x, {ends}."
    if found.onset is not None and found.onset.x is not None:
        text += f" It is shown to be above the first from x = {found.onset.x:g} on."
    return text + _beyond_the_ends(found)


def _beyond_the_ends(found: Trajectory) -> str:
    """The highest point where it is neither the first nor the last: the ends of a curve that comes back hide it."""
    first, *between, last = found.points
    known = [one for one in between if one.rate is not None]
    highest = max(known, key=lambda one: one.rate or 0.0, default=None)
    ends = [one.rate for one in (first, last) if one.rate is not None]
    if highest is None or highest.rate is None or len(ends) < 2 or highest.low is None or highest.low <= max(ends):
        return ""
    return f" In between it is as high as {_short(highest, found.measure)}, at x = {highest.x:g}."


def of_groups(found: GroupComparison) -> str:
    """What training runs of the one recipe do that those of the other do not."""
    rates = f"from {_short(found.before, found.measure)} to {_short(found.after, found.measure)}"
    if found.between_runs is None:
        return f"The mean went {rates}; these training runs allow no statement about the recipe."
    if found.between_runs.low <= 0 <= found.between_runs.high:
        return f"No change is shown for training runs like these: {rates}."
    verb = "higher" if found.between_runs.estimate > 0 else "lower"
    return f"Training runs like these of {found.after.name} are {verb} than of {found.before.name}: {rates}."


def of_gate(found: Gate) -> list[str]:
    """The verdict, then why of each check that has it."""
    first = {"pass": "passed", "fail": "failed", "inconclusive": "could not decide"}[found.verdict]
    rest = verdicts.verdict(found).partition(",")[2]
    why = [f"{check.name}: {check.why}." for check in found.checks if check.verdict == found.verdict]
    return [f"The gate {first}{f',{rest}' if rest else ''}.", *why]


def chip(found: Comparison) -> str:
    """The change in two words."""
    change = found.difference
    if change.estimate is None or change.low is None or change.high is None:
        return "not known"
    if change.low <= 0 <= change.high:
        return "no change shown"
    return "rise shown" if change.estimate > 0 else "fall shown"


def _often(rate: float) -> str:
    """`about 3 times in 100`; rarer than once in a hundred, `about once in 240`."""
    if rate < 0.01:
        return f"about once in {round(1 / rate)}"
    times = round(100 * rate)
    return f"about {'once' if times == 1 else f'{times} times'} in 100"


def _short(line: Rated, measure: Measure) -> str:
    if line.rate is None:
        return "an unknown rate"
    if measure == "rate" and not line.misaligned:
        return f"0 % ({numbers.bound(line)})"
    return f"{numbers.value(line.rate, measure)}{' %' if measure == 'rate' else ''}"
