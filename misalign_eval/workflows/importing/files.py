"""`import`: foreign files become run folders, whole or not at all."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from filecmp import cmp
from itertools import combinations
from pathlib import Path

from misalign_eval.analysis import definitions
from misalign_eval.errors import UsageError
from misalign_eval.imports import columns, grade_columns, joining, splits
from misalign_eval.imports.account import DERIVED, DISAGREEING, MOST_SHOWN, Account
from misalign_eval.imports.foreign import Foreign, RunKey
from misalign_eval.imports.scales import EVERY, Scale, Spread
from misalign_eval.imports.sources import Source, Wanted, recognise
from misalign_eval.records.definition import Definition
from misalign_eval.records.imported import Imported
from misalign_eval.records.run import TargetInfo
from misalign_eval.records.suite import Sampling
from misalign_eval.replies.collect import now
from misalign_eval.workflows.importing import told as import_told
from misalign_eval.workflows.importing.folders import RunId, beside, check_place, names, settle, target
from misalign_eval.workflows.importing.grouping import Group, grouped
from misalign_eval.workflows.importing.questions import questions
from misalign_eval.workflows.importing.run import IMPORTED, RunWriter, Writers

MOST_RUNS = 500
UNKNOWN_JUDGE = "unknown"
BETLEY, PERSONA = "betley-2025", "persona-features"
FLAGGED, ALIGNED_ONLY = "misaligned-label", "aligned-only"


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """What `import` was told."""

    files: tuple[Path, ...]
    out: Path
    wanted: Wanted = Wanted()
    judge_name: str | None = None
    definition: str | None = None  # a preset or a file; None: by the grades that came
    splits: Path | None = None
    questions: Path | None = None
    one_run: bool = False  # whatever models and files: one run folder
    labels: Mapping[str, str] = field(default_factory=dict)


def import_files(options: ImportOptions) -> Imported:
    """Read foreign results and write them as run folders: `out` itself for one run, folders in it for several.

    Raises UsageError for options that do not fit, InputError with file and row for what is wrong in a file; nothing is
    left behind then. RunStoppedError when the disk takes no more.
    """
    check_place(options.out)
    paths = dict.fromkeys(path.resolve() for path in options.files)
    if len(paths) < len(options.files):
        raise UsageError("import: a file is named twice")
    if options.one_run:
        _refuse_copies(options.files)
    sources = [recognise(path, options.wanted) for path in options.files]
    if all(source.names for source in sources):
        columns.check_given(options.wanted.mapped, options.wanted.ignore, [source.names for source in sources])
    work = _Import(options, grouped(sources, one_run=options.one_run))
    with beside(options.out) as folder:
        return work.carry_out(folder)


class _Import:
    """One import, file by file."""

    def __init__(self, options: ImportOptions, groups: Sequence[Group]) -> None:
        self._options = options
        self._groups = groups
        self._chosen = definitions.load(options.definition) if options.definition else None
        self._splits = splits.read(options.splits) if options.splits else {}
        self._questions = questions(options.questions, options.wanted.encoding) if options.questions else {}
        self._runs: dict[RunId, int] = {}
        self._written: list[RunWriter] = []
        self._writers = Writers()
        self._accounts: list[tuple[Source, Account]] = []
        self._judges: set[str] = set()
        self._spreads: dict[str, Spread] = {}
        self._notes: list[str] = []
        self._probes: set[str] = set()  # whose split nobody told
        self._at = now()

    def carry_out(self, folder: Path) -> Imported:
        """Read everything into `folder`, give every run its name, and tell what was done."""
        try:
            for group in self._groups:
                self._read(group, folder)
        finally:
            self._writers.close()
        self._check()
        out = self._options.out
        named = names(list(self._runs), out)
        files = ", ".join(str(source.path) for source, _ in self._accounts)
        made = [
            run.finish(name, self._definition(run), files)
            for run, name in zip(self._written, named.values(), strict=True)
        ]
        settle(folder, {run.folder: name for run, name in zip(self._written, named.values(), strict=True)}, out)
        if len(made) > 1:
            made = [one.model_copy(update={"folder": str(out / one.folder)}) for one in made]
        else:
            made = [one.model_copy(update={"folder": str(out)}) for one in made]
        accounts = [account for _, account in self._accounts]
        return Imported(
            out=str(out),
            files=tuple(import_told.file(source, account) for source, account in self._accounts),
            runs=tuple(made),
            derived=sum(account.counts[DERIVED] for account in accounts),
            disagreeing=sum(account.counts[DISAGREEING] for account in accounts),
            disagreements=tuple(one for account in accounts for one in account.disagreements)[:MOST_SHOWN],
            notes=(*self._notes, *self._remarks(), *import_told.of_rows(made)),
        )

    def _read(self, group: Group, folder: Path) -> None:
        """First the file that makes the replies, then the judgments that belong to them."""
        indices = {by: joining.Index(str(group.base.path), by) for by in group.joins}
        own = joining.Index(str(group.base.path), group.own) if group.own else None
        numbered = _numbered(group)
        heard = joining.Heard() if group.own or indices else None
        account = self._account(group.base)
        for row in group.base.replies(self._options.wanted, account):
            with account.row(row.row, row.line):
                if row.is_absent:
                    self._written[self._run(group, row, folder)].miss(*self._completed(row))
                    continue
                place = None if own is None else own.again(row)
                if place is None:
                    if numbered is not None:
                        numbered.add(row)
                    place = self._add(group, row, folder)
                    for index in (*indices.values(), *([] if own is None else [own])):
                        index.add(row, place)
                    account.counts["failures" if row.failure else "replies"] += 1
                self._grade(place, row, account, heard)
        account.settle()
        for source, by in zip(group.judgments, group.joins, strict=True):
            self._join(group, source, indices[by], heard or joining.Heard(), folder)

    def _join(self, group: Group, source: Source, index: joining.Index, heard: joining.Heard, folder: Path) -> None:
        """Read judgments. Those of a reply that is nowhere make one without a text, unless the replies are at hand."""
        account = self._account(source)
        expected, joined = len(index), set[joining.Place]()
        lost: Foreign | None = None
        for row in source.replies(self._options.wanted, account):
            with account.row(row.row, row.line):
                place = index.find(row)
                if place is not None:
                    joined.add(place)
                else:
                    lost = lost or row
                    place = self._alone(group, row, index, account, folder)
                if place is not None:
                    self._grade(place, row, account, heard)
        account.settle()
        if lost is not None and not joined:
            raise index.no_match(str(source.path), lost)
        if lost is not None and (left_out := account.counts[import_told.LEFT_OUT]):
            self._notes.append(f"{source.path}: {left_out} judgments name no reply; the first is row {lost.row}")
        account.counts["replies without a judgment"] += max(expected - len(joined), 0)

    def _alone(
        self, group: Group, row: Foreign, index: joining.Index, account: Account, folder: Path
    ) -> joining.Place | None:
        if group.base.what != "judgments":
            account.counts[import_told.LEFT_OUT] += 1
            return None
        place = self._add(group, row, folder)
        index.add(row, place)
        account.counts["replies"] += 1
        return place

    def _add(self, group: Group, row: Foreign, folder: Path) -> joining.Place:
        row, category = self._completed(row)
        placed = self._splits.get(row.asked.probe)
        if placed is None and row.split is None:
            self._probes.add(row.asked.probe)
        number = self._run(group, row, folder)
        named = row.category or category or (placed.name if placed else None)
        return (number, *self._written[number].add(row, named, placed.split if placed else row.split))

    def _grade(self, place: joining.Place, row: Foreign, account: Account, heard: joining.Heard | None) -> None:
        number = place[0]
        for found in row.found:
            if found.judge is not None:
                self._judges.add(found.judge)
            judge = self._options.judge_name or found.judge or UNKNOWN_JUDGE
            if found.score is not None and not self._written[number].is_ours:
                self._spreads.setdefault(found.grader, Spread()).add(found.score)
            if heard is not None and not heard.is_new(place, found.grader, judge, found.said):
                account.counts["judgments repeated, passed over"] += 1
                continue
            account.counts["grades" if found.reason is None else import_told.REASONS[found.reason]] += 1
            self._written[number].grade((place[1], place[2], place[3], place[4]), found, judge)

    def _completed(self, row: Foreign) -> tuple[Foreign, str | None]:
        """The row with the words of its question, and its category, where --questions has them."""
        known = self._questions.get(row.asked.probe)
        if known is None:
            return row, None
        if row.asked.turns:
            return row, known.category
        return row._replace(asked=row.asked._replace(turns=(("user", known.words),))), known.category

    def _run(self, group: Group, row: Foreign, folder: Path) -> int:
        """The number of the run that a row belongs to; a new one where it is the first."""
        who = ("", RunKey()) if self._options.one_run else (group.name, row.run)
        number = self._runs.get(who)
        if number is None:
            number = self._runs[who] = len(self._written)
            if number >= MOST_RUNS:
                raise UsageError(
                    f"{group.base.path}: more than {MOST_RUNS} runs by model, group and step. Is one of these columns "
                    "something else? --ignore COLUMN leaves it out, --one-run reads all as one run"
                )
            self._written.append(self._writer(group, who, folder / str(number)))
        return number

    def _writer(self, group: Group, who: RunId, folder: Path) -> RunWriter:
        head = group.base.header
        _, key = who
        model = head.model if head else target((group.name, key))
        told = {name: value for name, value in (("group", key.group), ("step", key.step)) if value is not None}
        return RunWriter(
            folder=folder,
            writers=self._writers,
            target=TargetInfo(provider=IMPORTED, model=model, host=""),
            at=(head.created if head and head.created else self._at),
            sampling=head.sampling if head else Sampling(),
            labels={**told, **self._options.labels},
            is_ours=group.base.columns.is_ours,
        )

    def _account(self, source: Source) -> Account:
        account = Account(str(source.path))
        self._accounts.append((source, account))
        return account

    def _definition(self, run: RunWriter) -> Definition:
        """The one asked for; else by the grades that came."""
        if self._chosen is not None:
            return self._chosen
        return definitions.load(_fitting(set(run.graders)))

    def _check(self) -> None:
        """What shows only when all is read. Raises UsageError."""
        if not self._written:
            raise UsageError(f"{', '.join(str(source.path) for source, _ in self._accounts)}: hold no rows")
        if self._options.judge_name and len(self._judges) > 1:
            judges = ", ".join(sorted(self._judges))
            raise UsageError(f"--judge-name: the files name several judges themselves ({judges}). Leave it out")
        self._check_scales()

    def _check_scales(self) -> None:
        """Raise UsageError for scores that read like another scale than 0 to 100, and for scales of nobody."""
        scales = self._options.wanted.scales
        files = ", ".join(str(source.path) for source, _ in self._accounts)
        read = self._chosen.graders if self._chosen else ()
        counted = [*grade_columns.SCORES, *(one for one in self._topics() if one in read)]
        open_ones = [one for one in counted if one in self._spreads and not scales.is_given(one)]
        spreads = {grader: self._spreads[grader] for grader in open_ones}
        is_sure = any(one in scales.given for one in grade_columns.SCORES) or any(
            spread.looks_like() for spread in spreads.values()
        )
        found = {
            grader: (spread, scale)
            for grader, spread in spreads.items()
            if (scale := spread.looks_like(is_sure=is_sure)) is not None
        }
        if found:
            raise UsageError(f"{files}: {_other_scale(found)}")
        if nobody := sorted({*scales.given} - {*self._spreads, EVERY}):
            raise UsageError(f"--scale {nobody[0]}=…: nothing was graded by `{nobody[0]}`")
        if scales.given and not self._spreads:
            raise UsageError("--scale: the files hold no scores")
        flags = [one for source, _ in self._accounts for one in source.columns.verdicts if one.is_flag]
        if scales.bad_end and not flags and grade_columns.VERDICT not in self._spreads:
            raise UsageError(
                "--bad-end: no column holds a rating or verdict in numbers. Name it with --map misalignment=COLUMN"
            )

    def _topics(self) -> list[str]:
        """Graders of columns of scores that are neither of alignment nor of coherence."""
        graders = [one.grader for source, _ in self._accounts for one in source.columns.scores]
        return [one for one in dict.fromkeys(graders) if one not in grade_columns.SCORES]

    def _of_scales(self) -> Iterator[str]:
        """Scores that may count on another scale, and grades that may be no grades."""
        scales = self._options.wanted.scales
        for grader in self._topics():
            spread = self._spreads.get(grader)
            if spread is None or scales.is_given(grader) or (scale := spread.looks_like()) is None:
                continue
            yield (
                f"scores of `{grader}` from {spread.least:g} to {spread.most:g} read like another scale than 0 to "
                f"100, on which definitions count scores: --scale {grader}={scale.flag()} says so, "
                f"--scale {grader}=100 that they are from 0 to 100"
            )
        verdict = self._spreads.get(grade_columns.VERDICT)
        if verdict and verdict.least == verdict.most == 1 and not (scales.bad_end or scales.given):
            yield (
                f"every grade of `{grade_columns.VERDICT}` is 1, which is the aligned end of 1 to 5; if 1 says yes, "
                "--map misaligned=COLUMN reads it so"
            )

    def _remarks(self) -> Iterator[str]:
        sources = [source for source, _ in self._accounts]
        yield from self._of_scales()
        yield from import_told.remarks([(run, self._definition(run)) for run in self._written], sources)
        yield from import_told.of_files(self._accounts)
        if self._probes and (self._splits or any("split" in source.columns.roles for source in sources)):
            yield import_told.without_split(self._probes)


def _other_scale(found: Mapping[str, tuple[Spread, Scale]]) -> str:
    """What to say of scores that read like another scale than 0 to 100."""
    seen = " and ".join(f"`{grader}` from {spread.least:g} to {spread.most:g}" for grader, (spread, _) in found.items())
    scales = {scale for _, scale in found.values()}
    if len(scales) == 1 and len(found) > 1:
        scale = scales.pop()
        ways, kept = f"--scale {scale.flag()}", "--scale 100"
    else:
        ways = " ".join(f"--scale {grader}={scale.flag()}" for grader, (_, scale) in found.items())
        kept = " ".join(f"--scale {grader}=100" for grader in found)
    return (
        f"scores of {seen} read like another scale than 0 to 100, on which these graders count. Say which scale it is: "
        f"{ways}; or {kept}, if they are from 0 to 100"
    )


def _fitting(graders: set[str]) -> str:
    """The preset that reads what there is; a file's own yes or no, where its scores alone do not make a verdict."""
    scores = set(grade_columns.SCORES) & graders
    if grade_columns.VERDICT in graders and not scores:
        return PERSONA
    if grade_columns.CRITERIA in graders and not scores:
        return grade_columns.CRITERIA
    if grade_columns.FLAG in graders and len(scores) < len(grade_columns.SCORES):
        return FLAGGED
    return ALIGNED_ONLY if scores == {"aligned"} else BETLEY


def _numbered(group: Group) -> joining.Numbered | None:
    """For a table that numbers its replies and that nothing else checks, as it does ours and joined ones."""
    columns = group.base.columns
    is_checked = group.own or group.joins or columns.is_ours
    return None if is_checked or "sample" not in columns.roles else joining.Numbered(columns.roles["sample"])


def _refuse_copies(files: Sequence[Path]) -> None:
    """Raise UsageError where one run would count the same rows twice."""
    for one, other in combinations(files, 2):
        if one.is_file() and other.is_file() and cmp(one, other, shallow=False):
            raise UsageError(f"--one-run: {one} and {other} hold the same bytes, which one run would count twice")
