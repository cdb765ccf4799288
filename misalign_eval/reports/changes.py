"""What a comparison says, before it is a terminal page or Markdown: sentences and rows of words."""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from misalign_eval.records.analysis import CategoryChange, Comparison, Measure, ProbeChange, Rated
from misalign_eval.reports import estimand, judge_words, numbers
from misalign_eval.reports.tables import MOST_PROBES, SENSITIVITY, Table, reading, suite

By = Literal["category", "probe"]
BREAKDOWNS: tuple[By, ...] = get_args(By)
ADJUSTED: dict[By, str] = {
    "category": "exact p adjusted by Holm",
    "probe": "mid-p adjusted by Benjamini-Hochberg, a screening",
}


def sentence(found: Comparison) -> str:
    """The change, whole: before, after, difference with interval and test."""
    measure = found.after.measure
    return f"Change: {numbers.difference(found.difference, measure)}, the mean over {found.after.averaged}."


def facts(found: Comparison) -> tuple[tuple[str, str], ...]:
    """Both rates, the ratio, whether the change generalises, and how small a change would have been seen."""
    measure = found.after.measure
    rows = [
        ("before", numbers.rated(found.before, measure)),
        ("after", numbers.rated(found.after, measure)),
        ("difference", numbers.difference(found.difference, measure)),
    ]
    if measure == "rate":
        rows.append(("ratio", numbers.ratio(found.ratio)))
        rows.append(("generalises", numbers.generalises(found.generalises, measure)))
    if found.generalises.paired_t is not None:
        is_evidence = not {"W4", "W5"} & {warning.id for warning in found.warnings}
        rows.append(("", numbers.paired_t(found.generalises.paired_t, measure, is_evidence=is_evidence)))
    if found.detectable is not None:
        rows.append(("detectable", numbers.detectable(found.detectable, measure)))
    return tuple(rows)


def intervals(found: Comparison) -> str:
    """What the intervals and the test are, in words."""
    text = estimand.sentence(found.interval)
    if found.difference.is_exact is None:
        return f"{text}."
    how = "exact" if found.difference.is_exact else "Monte-Carlo"
    return f"{text}. p: {how} stratified permutation test that no probe changed, twice the smaller tail."


def provenance(found: Comparison) -> tuple[tuple[str, str], ...]:
    """Whose numbers these are; one line where both runs agree."""
    before, after = found.before, found.after
    rows = [
        ("before", f"{before.run}: {before.called}"),
        ("after", f"{after.run}: {after.called}"),
        ("definition", found.definition),
        ("suite", _both(suite(before), suite(after))),
        ("judge", _both(before.judge or "none: rules only", after.judge or "none: rules only")),
        *judge_words.provenance(after.calibration)[:1],
    ]
    return tuple(rows)


def caption(found: Comparison) -> str:
    """Printed with every table: a number without them means nothing."""
    judge = _both(found.before.judge or "none", found.after.judge or "none")
    return f"definition {found.definition}; judge {judge}; suite {_both(suite(found.before), suite(found.after))}"


def breakdowns(found: Comparison, by: Sequence[By] = ()) -> tuple[Table, ...]:
    """The categories, then the probes with the largest changes first."""
    tables = {"category": _categories, "probe": _probes}
    return tuple(tables[name](found, whole=bool(by)) for name in (by or BREAKDOWNS))


def sensitivity(found: Comparison) -> Table | None:
    """The change in every other way; None where that was not asked for."""
    if found.sensitivity is None:
        return None
    rows = tuple(
        (
            reading(line),
            _cell(line.before, line.measure),
            _cell(line.after, line.measure),
            numbers.change(line.difference, line.low, line.high, line.measure),
        )
        for line in found.sensitivity
    )
    return Table(SENSITIVITY, ("counted as", "before % [95 %]", "after % [95 %]", "points [95 %]"), rows)


def outcome_table(found: Comparison) -> Table:
    """Every outcome before and after: fine-tuning also changes refusal and coherence."""
    before, after = found.before, found.after
    rows = [
        (name.replace("_", " "), str(before.outcomes.get(name, 0)), str(after.outcomes.get(name, 0)))
        for name in after.outcomes
        if before.outcomes.get(name, 0) or after.outcomes.get(name, 0)
    ]
    rows.append(("planned", str(before.planned), str(after.planned)))
    return Table("Outcomes of the replies compared", ("outcome", "before", "after"), tuple(rows))


def overview(found: Sequence[Comparison]) -> Table:
    """One line for each run that was compared with the first."""
    measure = found[0].after.measure
    rows = [(found[0].before.run, numbers.rated(found[0].before, measure), "")]
    rows += [
        (one.after.run, numbers.rated(one.after, measure), numbers.difference(one.difference, measure)) for one in found
    ]
    return Table("Runs", ("run", _head("rate", measure), "change from the first"), tuple(rows))


def _categories(found: Comparison, *, whole: bool) -> Table:
    del whole  # categories are few
    return _table(found, found.categories, {line.category: line for line in found.before.categories}, "category", 0)


def _probes(found: Comparison, *, whole: bool) -> Table:
    lines = sorted(found.probes, key=lambda line: -abs(line.difference or 0.0))
    shown = lines if whole else lines[:MOST_PROBES]
    before = {line.id: line for line in found.before.probes}
    return _table(found, shown, before, "probe", len(lines) - len(shown))


def _table(
    found: Comparison,
    lines: Sequence[ProbeChange] | Sequence[CategoryChange],
    before: Mapping[str, Rated],
    by: By,
    left: int,
) -> Table:
    after: dict[str, Rated] = (
        {line.category: line for line in found.after.categories}
        if by == "category"
        else {line.id: line for line in found.after.probes}
    )
    measure = found.after.measure
    rows = [
        (name, _cell(before[name], measure), _cell(after[name], measure), _change(line, measure))
        for line in lines
        for name in (line.id if isinstance(line, ProbeChange) else line.category,)
    ]
    note = f"{left} more with smaller changes: `--by probe` shows them all" if left else ""
    adjusted = f"{ADJUSTED[by]}; together: Bonferroni intervals, for these probes"
    heads = (by, _head("before", measure), _head("after", measure), "points [95 %]")
    return Table(f"By {by} ({adjusted})", heads, tuple(rows), note)


def _cell(line: Rated, measure: Measure) -> str:
    counts = numbers.fraction(line) if measure == "rate" else f"{line.graded} replies"
    return f"{numbers.short(line, measure)}\n{counts}, {line.missing} missing"


def _change(line: ProbeChange | CategoryChange, measure: Measure) -> str:
    own = numbers.change(line.difference, line.low, line.high, measure)
    return "\n".join([own, *numbers.adjusted(line, measure).split(", ", 1)])


def _head(name: str, measure: Measure) -> str:
    return f"{name} % [95 %]" if measure == "rate" else f"{name} [95 %]"


def _both(before: str, after: str) -> str:
    return before if before == after else f"{before} before, {after} after"
