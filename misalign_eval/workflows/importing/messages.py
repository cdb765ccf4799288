"""Messages of an import about its files and runs."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from misalign_eval.interchange import detect_grades
from misalign_eval.interchange.log import DERIVED, DISAGREEING, ImportLog
from misalign_eval.interchange.sources import ImportSource
from misalign_eval.records.definition import Definition
from misalign_eval.records.findings import ImportedRun, ReadFile
from misalign_eval.records.grade import UngradedReason
from misalign_eval.workflows.importing.writer import RunWriter

LEFT_OUT = "judgments without a reply, left out"
REASONS: dict[UngradedReason, str] = {
    "not_given": "ungraded: no grade in the file",
    "unparsable": "ungraded: judge not readable",
    "low_mass": "ungraded: too little of the distribution on numbers",
    "partial_number": "ungraded: numbers in several tokens",
    "refused": "ungraded: judge refused",
    "truncated": "ungraded: judge cut off",
    "failed": "ungraded: no answer from the judge",
    "no_logprobs": "ungraded: no log-probabilities",
    "disagreement": "ungraded: judges without a majority",
    "rule_error": "ungraded: rule could not decide",
}
FIRST = ("rows read", "replies", "failures", "empty answers", "grades", *REASONS.values(), DERIVED, DISAGREEING)
MOST_NAMES = 5
_BAD_OR_GOOD = {"UNSAFE", "SAFE", "FAIL", "PASS", "YES", "NO", "TRUE", "FALSE", "HARMFUL", "HARMLESS", "JAILBROKEN"}
UNFILTERED = "nobody judged coherence, so that incoherent replies are not taken out and may count as misaligned"


def file(source: ImportSource, account: ImportLog) -> ReadFile:
    """How a file was understood, and what became of its rows: rows, replies and grades first."""
    found = source.columns
    if found.index:
        account.counts["index columns passed over"] = len(found.index)
    counts = ((name, count) for name, count in account.counts.items() if count)
    return ReadFile(
        file=str(source.path),
        format=source.format,
        what=source.what,
        columns=dict(found.used),
        ignored=found.ignored,
        counts=dict(sorted(counts, key=lambda count: FIRST.index(count[0]) if count[0] in FIRST else len(FIRST))),
    )


def remarks(runs: Sequence[tuple[RunWriter, Definition]], sources: Sequence[ImportSource]) -> Iterator[str]:
    """What a reader of the runs has to know."""
    written = [run for run, _ in runs]
    if len(written) > 1:
        many = f"{len(written)} runs"
        yield f"{many}: one for each file and each value of model, group and step; --one-run makes one of them"
    if any(not run.has_words for run in written):
        paired = "runs are paired by the id of the probe"
        yield f"the words of questions are not known, so that {paired}; --questions FILE adds them"
    if any(run.counts["without_text"] for run in written):
        yield "replies without a text: `show` says so, and `regrade` has nothing to grade there"
    if any(run.counts_differ for run in written):
        yield "some prompts have more replies than others: if rows were left out, the rates are those of the rest"
    if any(not source.header.is_whole for source in sources if source.header):
        yield "an evaluation did not end by itself: only its finished samples are there"
    yield from dict.fromkeys(
        f"definition {definition.name}: {UNFILTERED}"
        for run, definition in runs
        if "aligned" in definition.graders and "coherent" not in {*definition.graders, *run.graders}
    )
    yield from dict.fromkeys(lack for run, definition in runs if (lack := _lacking(run, definition)))
    columns = {
        ours: theirs for source in sources if source.layout is None for ours, theirs in source.columns.used.items()
    }
    yield from _unread(runs, columns)


def of_files(accounts: Sequence[tuple[ImportSource, ImportLog]]) -> Iterator[str]:
    """What the columns of files say beyond what was read from them."""
    for source, account in accounts:
        yield from (f"{source.path}: {note}" for note in source.columns.notes)
        if account.varying:
            yield f"{source.path}: {_pooled(source, account)}"


def of_rows(runs: Sequence[ImportedRun]) -> Iterator[str]:
    """Which runs lack replies."""
    for run in runs:
        if run.missing:
            yield (
                f"{run.folder}: {run.missing} replies are missing by the numbers in the file. They count as planned, "
                "and not collected, so that no gate passes; if none was left out, --ignore the column of numbers"
            )


def _pooled(source: ImportSource, account: ImportLog) -> str:
    columns = "; ".join(f"`{varying.column}` ({', '.join(varying.values)})" for varying in account.varying)
    there = [source.columns.roles["group"]] if "group" in source.columns.roles else []
    apart = [*there, *(varying.column for varying in account.varying)]
    each = "each combination" if len(apart) > 1 else "each"
    return (
        f"replies to the same prompt differ in {columns}, and are counted together: they are no draws of one model "
        f"under one condition. --map group={','.join(apart)} makes a run of {each}"
    )


def without_split(probes: set[str]) -> str:
    """Which probes nobody has put into a split, where others are."""
    shown = ", ".join(sorted(probes)[:MOST_NAMES])
    more = f" and {len(probes) - MOST_NAMES} more" if len(probes) > MOST_NAMES else ""
    return f"{len(probes)} probes have no split and count as broad: {shown}{more}"


def _lacking(run: RunWriter, definition: Definition) -> str | None:
    """What a definition reads that nobody has graded, and one that fits where there is a single trait or topic."""
    lacking = [name for name in definition.graders if name not in run.graders]
    if not lacking:
        return None
    others = [name for name in run.graders if name not in detect_grades.SCORES]
    fitting = f", such as persona-vectors@{others[0]}" if len(others) == 1 and "coherent" in run.graders else ""
    there = ", ".join(run.graders) or "no grades"
    return (
        f"definition {definition.name} reads {', '.join(lacking)}, and the file has {there}: "
        f"choose another with --definition{fitting}"
    )


def _unread(runs: Sequence[tuple[RunWriter, Definition]], columns: Mapping[str, str]) -> Iterator[str]:
    """Labels that the definition of their run does not read, and what would. `columns`: grader → its column."""
    unread: dict[tuple[str, str], Counter[str]] = {}
    for run, definition in runs:
        for grader, labels in run.words.items():
            rules = [rule.when.label for rule in definition.outcomes if rule.when.grader == grader]
            known = {word for label in rules if label for word in ([label] if isinstance(label, str) else label)}
            there = unread.setdefault((grader, definition.name), Counter())
            there.update({word: count for word, count in labels.items() if word not in known})
    for (grader, name), labels in unread.items():
        if labels:
            words = ", ".join(f"{word} ({count})" for word, count in labels.most_common(MOST_NAMES))
            reader = _reader(set(labels), columns.get(grader))
            yield f"labels of `{grader}` that definition {name} does not read, deciding nothing: {words}. {reader}"


def _reader(words: set[str], column: str | None) -> str:
    """Which definition reads such words."""
    if words & {"MISALIGNED", "ALIGNED"} and words <= detect_grades.OF_CRITERIA:
        way = f"--map criteria={column or 'COLUMN'} --definition criteria"
        return f"Definition criteria reads ALIGNED and MISALIGNED: {way}"
    if words & _BAD_OR_GOOD and column is not None:
        return (
            f"If YES, TRUE, FAIL, UNSAFE or HARMFUL is misaligned, definition misaligned-label reads it: "
            f"--map misaligned={column}"
        )
    return "No definition of the package reads them; --definition FILE may be your own"
