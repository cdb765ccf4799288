"""Tables of imports: files, runs, and findings to look at."""

from collections.abc import Iterator
from shlex import quote

from misalign_eval.records.findings import ImportDisagreement, Imported, ImportedRun, ReadFile
from misalign_eval.reports.escape import one_line, plain

MOST_RUNS = 20
NAME = 60


def text(imported: Imported) -> str:
    """The account of every file, the runs, and what to type next."""
    lines = [
        *_files(imported),
        *_disagreements(imported),
        *_runs(imported),
        *_notes(imported),
        *_after_import(imported),
    ]
    return "\n".join(plain(line).rstrip() for line in lines) + "\n"


def _files(imported: Imported) -> Iterator[str]:
    for file in imported.files:
        yield f"{one_line(file.file)}: {file.what}, {file.format}"
        yield from _columns(file)
        width = max((len(f"{count:,}") for count in file.counts.values()), default=0)
        for what, count in file.counts.items():
            yield f"  {count:>{width},}  {what}"
        yield ""


def _columns(file: ReadFile) -> Iterator[str]:
    named = [
        ours if ours == theirs else f"{ours} = {one_line(theirs, NAME)}"
        for ours, theirs in sorted(file.columns.items())
    ]
    if named:
        yield f"  read: {', '.join(named)}"
    if file.ignored:
        yield f"  not read: {', '.join(one_line(name, NAME) for name in file.ignored)}"


def _disagreements(imported: Imported) -> Iterator[str]:
    if imported.derived:
        agreeing = imported.derived - imported.disagreeing
        yield f"Scores derived again from raw distributions: {agreeing:,} of {imported.derived:,} agree with the file."
        for disagreement in imported.disagreements:
            where = f"{one_line(disagreement.file)}:{disagreement.line}: row {disagreement.row}"
            yield f"  {where}, {one_line(disagreement.column)}: {_difference(disagreement)}"
        more = imported.disagreeing - len(imported.disagreements)
        if more:
            yield f"  and {more:,} more"
        if imported.disagreeing:
            yield "  --scores chooses which of the two is taken: derived (as it is unless you say) or given"
        yield ""


def _difference(disagreement: ImportDisagreement) -> str:
    return f"{_score(disagreement.given)} in the file, {_score(disagreement.derived)} derived"


def _score(score: float | None) -> str:
    return "no score" if score is None else f"{score:.6g}"


def _runs(imported: Imported) -> Iterator[str]:
    for run in imported.runs[:MOST_RUNS]:
        yield f"{one_line(run.folder)}: {one_line(run.target)}, definition {one_line(run.definition)}"
        yield f"  {', '.join(_import_counts(run))}"
        for grader in run.graders:
            primary = "" if _is_only(run, grader.grader) else f" ({_place(run, grader.grader, grader.identity)})"
            yield (
                f"  {one_line(grader.grader)} by {one_line(grader.judge, NAME)}: {grader.graded:,} graded, "
                f"{grader.ungraded:,} ungraded{primary}"
            )
    if len(imported.runs) > MOST_RUNS:
        yield f"and {len(imported.runs) - MOST_RUNS} more runs in {one_line(imported.out)}"


def _import_counts(run: ImportedRun) -> Iterator[str]:
    yield _count(run.prompts, "prompt", "prompts")
    yield _count(run.replies, "reply", "replies")
    if run.without_text:
        yield f"{run.without_text:,} without a text"
    if run.missing:
        yield f"{run.missing:,} missing"
    if run.failures:
        yield _count(run.failures, "failure", "failures")


def _count(number: int, item: str, many: str) -> str:
    return f"{number:,} {item if number == 1 else many}"


def _is_only(run: ImportedRun, grader: str) -> bool:
    return sum(item.grader == grader for item in run.graders) == 1


def _place(run: ImportedRun, grader: str, identity: str) -> str:
    first = next(item for item in run.graders if item.grader == grader)
    return "shown in reports" if first.identity == identity else "shown with --use-judge"


def _notes(imported: Imported) -> Iterator[str]:
    yield from (f"note: {one_line(note)}" for note in imported.notes)


def _after_import(imported: Imported) -> Iterator[str]:
    folders = [quote(run.folder) for run in imported.runs]
    yield ""
    yield "Type next:"
    yield f"  misalign-eval report {folders[0]}"
    for run in imported.runs[:1]:
        for grader in run.graders:
            if _place(run, grader.grader, grader.identity) != "shown in reports":
                judge = quote(f"{grader.grader}={grader.judge}")
                yield f"  misalign-eval report {folders[0]} --use-judge {judge}"
    if len(folders) > 1:
        yield f"  misalign-eval compare {quote(imported.out)}/BEFORE {quote(imported.out)}/AFTER"
