"""The report of one run, and the page of `demo`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from misalign_eval.records.definition import OUTCOMES
from misalign_eval.records.document import (
    Bars,
    Excerpt,
    Excerpts,
    Findings,
    ReportDocument,
    Statement,
    Table,
    Trusted,
    captioned,
    trusted,
    warnings_block,
)
from misalign_eval.records.gate import Gate
from misalign_eval.records.summary import (
    CategoryLine,
    Comparison,
    Estimand,
    Measure,
    OtherGrader,
    ProbeLine,
    Provenance,
    RateLine,
    Report,
    RunSummary,
    SensitivityChange,
    SensitivityLine,
    SplitLine,
    VariantLine,
    WorstReply,
)
from misalign_eval.reports import judges, numbers, sentences
from misalign_eval.reports.escape import NO_TEXT, plain

# Report of one run, as titles, sentences and table rows for every backend.
#
# Names and replies are still hostile here; the backend escapes them.


By = Literal["category", "probe", "split", "variant"]
BREAKDOWNS: tuple[By, ...] = get_args(By)
MOST_PROBES = 25
SENSITIVITY = Trusted("Sensitivity: the same rows counted in other ways (intervals for exactly these probes)")
LINE = CategoryLine | ProbeLine | SplitLine | VariantLine


def run_document(report: Report, by: Sequence[By] = ()) -> ReportDocument:
    """One run: headline, breakdowns, outcomes, worst replies, warnings, lint."""
    summary = numbers.with_interval(report.summary)
    statement = Statement(Trusted(sentence(summary)), Trusted(second_sentence(summary)), sources=provenance(summary))
    return ReportDocument(
        title=f"Misalignment of {summary.called}",
        blocks=(
            statement,
            *captioned(run_tables(summary, by), caption(summary)),
            outcome_bars(summary),
            *_worst_replies(report.worst),
            *warnings_block(summary.warnings),
            *_lint(summary),
        ),
    )


def run_tables(summary: RunSummary, by: Sequence[By] = ()) -> Iterator[Table]:
    """Every table of a report, in its order. A new table is a line here."""
    yield from breakdowns(summary, by)
    yield from sensitivity(summary)
    yield from judges.of_run(summary.judges)
    yield from other_graders(summary)


def sentence(summary: RunSummary) -> str:
    """The headline, whole: rate, interval, counts, what it is the mean of."""
    what = "Misaligned" if summary.measure == "rate" else "Mean score"
    return f"{what}: {numbers.rated(summary, summary.measure)}, the mean over {summary.averaged}."


def second_sentence(summary: RunSummary) -> str:
    """What the interval is, and the one for probes like these."""
    text = numbers.sentence(summary.interval)
    if summary.measure == "mean":
        return f"{text}."
    others: list[Estimand] = [kind for kind in ("suite", "general") if kind != summary.interval]
    found = ((numbers.WORDS[kind], getattr(summary.intervals, kind)) for kind in others)
    return "; ".join([text, *(f"{words}: {numbers.between(bounds)}" for words, bounds in found)]) + "."


def provenance(source: Provenance) -> tuple[tuple[str, str], ...]:
    """Whose numbers these are."""
    graders = ", ".join(f"{name}@{identity}" for name, identity in source.graders.items())
    labels = ", ".join(f"{name}={value}" for name, value in source.labels.items())
    rows = (
        ("run", source.run),
        ("target", f"{source.called} at {source.host}" if source.host else source.called),
        ("TLS", source.tls or ""),
        ("suite", suite(source)),
        ("definition", source.definition),
        ("judge", source.judge or "none: rules only"),
        ("graders", graders or "none"),
        *sentences.provenance(source.calibration),
        ("started", source.created),
        ("labels", labels),
    )
    return tuple(row for row in rows if row[1])


def suite(source: Provenance) -> str:
    """`quick 1.0.0 (3f2a…)`."""
    return f"{source.suite} {source.suite_version} ({source.suite_digest[:8]})"


def caption(source: Provenance) -> str:
    """Printed with every table: a number without them means nothing."""
    return f"definition {source.definition}; judge {source.judge or 'none'}; suite {suite(source)}"


def breakdowns(summary: RunSummary, by: Sequence[By] = ()) -> tuple[Table, ...]:
    """The tables asked for; by default the categories and the probes, and splits and variants where there are more."""
    chosen = by or [name for name in BREAKDOWNS if name in {"category", "probe"} or len(_lines(summary, name)) > 1]
    return tuple(_table(summary, name, whole=bool(by)) for name in chosen)


def sensitivity(summary: RunSummary) -> Iterator[Table]:
    """The headline counted in every other way; nothing where that was not asked for."""
    if summary.sensitivity is None:
        return
    rows = (
        (numbers.short(line, line.measure), _counts(line, line.measure), str(line.missing))
        for line in summary.sensitivity
    )
    named = tuple((reading(line), *row) for line, row in zip(summary.sensitivity, rows, strict=True))
    yield Table(SENSITIVITY, trusted("counted as", "misaligned % [95 %]", "replies", "missing"), named)


def other_graders(summary: RunSummary) -> tuple[Table, ...]:
    """A table for each grader that the definition does not read: what it found, and how often."""
    return tuple(_other_grader(summary, grader) for grader in summary.other_graders)


def _other_grader(summary: RunSummary, grader: OtherGrader) -> Table:
    rows = [(name, str(count), _share(count, grader.graded)) for name, count in (grader.labels or grader.bands).items()]
    rows += [(f"no verdict ({reason.replace('_', ' ')})", str(count), "") for reason, count in grader.reasons.items()]
    note = f"definition {summary.definition} does not read it"
    note += f"; mean score {grader.mean:.1f}" if grader.mean is not None else ""
    note += f"; `report RUN --definition {grader.definition}` counts by it" if grader.definition else ""
    asked = f"{grader.graded} of {grader.graded + grader.ungraded} replies graded"
    title = f"Grader {grader.grader}, by {grader.judge or 'rule'}: {asked}"
    heads = trusted("verdict" if grader.labels else "score", "replies", "% of graded")
    return Table(title, heads, tuple(rows), note)


def _share(count: int, whole: int) -> str:
    return numbers.percent(count / whole) if whole else ""


def reading(line: SensitivityLine | SensitivityChange) -> str:
    """`threshold: misaligned: aligned below 25`; a mean score is called one."""
    return f"{line.reading}: {line.name}{' (mean score)' if line.measure == 'mean' else ''}"


def outcome_rows(summary: RunSummary) -> tuple[tuple[str, int], ...]:
    """Each outcome that occurred, with its count; a planned reply without a row is named apart from a failure."""
    found = [(name.replace("_", " "), summary.outcomes.get(name, 0)) for name in OUTCOMES if name != "failed"]
    failed = summary.outcomes.get("failed", 0) - summary.not_collected
    found += [("failed", failed), ("not collected yet", summary.not_collected)]
    return tuple((name, count) for name, count in found if count)


def outcome_bars(summary: RunSummary) -> Bars:
    """How often each outcome occurred, out of the planned replies."""
    title = f"Outcomes of the {summary.planned} planned replies behind the headline"
    return Bars(title, ("outcome", "replies"), outcome_rows(summary), summary.planned, caption(summary))


def _worst_replies(replies: Sequence[WorstReply]) -> Iterator[Excerpts]:
    if replies:
        excerpts = tuple(Excerpt(worst_title(reply), excerpt(reply)) for reply in replies)
        yield Excerpts("Worst replies", excerpts, "`show` prints them whole")


def _lint(summary: RunSummary) -> Iterator[Findings]:
    if summary.lint is not None:
        yield Findings(sentences.TITLE, tuple(sentences.section(summary.lint, summary.warnings)))


def worst_title(worst: WorstReply) -> str:
    """`aligned 3.0: power-city/0/plain#4`."""
    found = worst.label if worst.score is None else f"{worst.score:.1f}"
    return f"{worst.grader} {found}: {worst.probe}/{worst.prompt}/{worst.variant}#{worst.sample}"


def excerpt(worst: WorstReply) -> str:
    """The beginning of its text, hostile still."""
    return NO_TEXT if worst.text is None else worst.text


def _lines(summary: RunSummary, by: By) -> Sequence[LINE]:
    match by:
        case "category":
            return summary.categories
        case "probe":
            return summary.probes
        case "split":
            return summary.splits
        case "variant":
            return summary.variants


def _name(line: LINE) -> str:
    match line:
        case ProbeLine():
            return line.id
        case CategoryLine():
            return line.category
        case SplitLine():
            return line.split
        case VariantLine():
            return line.variant


def _table(summary: RunSummary, by: By, *, whole: bool) -> Table:
    lines = list(_lines(summary, by))
    if by == "probe":
        lines.sort(key=_worst_first)
    shown = lines if whole else lines[:MOST_PROBES]
    left = len(lines) - len(shown)
    note = f"{left} more with lower rates: `--by probe` shows them all" if left else ""
    unit = "% [95 %]" if summary.measure == "rate" else "score [95 %]"
    head = "misaligned" if summary.measure == "rate" else "mean"
    rows = tuple(
        (_name(line), numbers.short(line, summary.measure), _counts(line, summary.measure), str(line.missing))
        for line in shown
    )
    heads = trusted(by, f"{head} {unit}", "replies", "missing")
    return Table(Trusted(f"By {by}"), heads, rows, Trusted(note))


def _worst_first(line: RateLine) -> tuple[bool, float]:
    return (line.rate is None, -(line.rate or 0.0))


def _counts(line: RateLine, measure: Measure) -> str:
    return numbers.fraction(line) if measure == "rate" else str(line.graded)


# Page of `demo`: four models, two changes, three verdicts, and commands to try next.


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
        lines += [title, *(_row(name, trained_on[name], summary) for name, summary in summaries.items()), ""]
    for name, item in changed.items():
        lines += [f"{name}:", f"  {numbers.difference(item.difference, item.after.measure)}"]
        lines += [f"  {numbers.generalises(item.generalises, item.after.measure)}", ""]
    lines.append(f"Gates: misalignment rises by less than {margin} over `aligned`")
    lines += [f"  {name:<11}{gate.verdict.upper()}" for name, gate in gates.items()]
    return plain("\n".join([*lines, "", *_after_demo(out, margin)])) + "\n"


def _row(name: str, trained_on: str, summary: RunSummary) -> str:
    return f"  {name:<11}{trained_on:<28}{numbers.rated(summary)}"


def _after_demo(out: Path, margin: str) -> list[str]:
    return [
        f"The runs are in {out}. Type next:",
        f"  misalign-eval show {out}/misaligned --misaligned --limit 5",
        f"  misalign-eval compare {out}/aligned {out}/misaligned",
        f"  misalign-eval gate {out}/misaligned --baseline {out}/aligned --max-increase {margin}",
        "  misalign-eval suites show quick          # a suite for real models",
    ]
