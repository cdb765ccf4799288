"""`import`: files to run folders, all or nothing."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from filecmp import cmp
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from misalign_eval.analysis import definitions
from misalign_eval.client.caller import now
from misalign_eval.errors import InputError, Problem, UsageError
from misalign_eval.interchange import detect_columns, detect_grades, imported_reply, sources
from misalign_eval.interchange.cells import is_missing, text_of
from misalign_eval.interchange.detect_columns import ColumnMap, Role
from misalign_eval.interchange.detect_grades import EVERY, GradeScale, Spread
from misalign_eval.interchange.imported_reply import ImportedReply, RunKey
from misalign_eval.interchange.log import DERIVED, DISAGREEING, MOST_PROBLEMS_SHOWN, BadCellError, ImportLog
from misalign_eval.interchange.sources import ImportSource, Wanted, recognise
from misalign_eval.records.definition import Definition
from misalign_eval.records.findings import Imported
from misalign_eval.records.run import ReplyKey, TargetInfo
from misalign_eval.records.suite import Sampling
from misalign_eval.workflows.importing import messages
from misalign_eval.workflows.importing.writer import (
    IMPORTED,
    RunId,
    RunWriter,
    Writers,
    check_place,
    commit,
    final_folder,
    names,
    temporary_sibling,
)

# Grouping of files into runs: replies, and the judgments that belong to them.


@dataclass(frozen=True, slots=True)
class Group:
    """The file that makes the replies, and the judgments over them, each with what joins it."""

    name: str
    base: ImportSource
    judgments: tuple[ImportSource, ...]
    joins: tuple[tuple[Role, ...], ...]
    own: tuple[Role, ...] = ()  # what tells replies of `base` apart, where several of its rows may be about one


def grouped(sources: Sequence[ImportSource], *, one_run: bool) -> list[Group]:
    """Join judgments with the only file of replies, or with the one whose name begins alike.

    Raises UsageError where that leaves open which replies are meant, InputError for files that nothing joins.
    """
    replies = [source for source in sources if source.what != "judgments"]
    judgments = [source for source in sources if source.what == "judgments"]
    if not replies:
        families = {"": judgments} if one_run else _families(judgments)
        return [_group(family[0], family[1:]) for family in families.values()]
    if len(replies) == 1:
        _check_names(replies[0], judgments)
        return [_group(replies[0], judgments)]
    belonging = _families(judgments)
    if open_ones := [name for name in belonging if [source.run for source in replies].count(name) != 1]:
        files = ", ".join(str(source.path) for source in belonging[open_ones[0]])
        raise UsageError(
            f"{files}: several files hold replies ({', '.join(str(source.path) for source in replies)}), and none or "
            f"more than one has a name that begins with `{open_ones[0]}`. Import each run by a command of its own"
        )
    return [_group(source, belonging.get(source.run, [])) for source in replies]


def _check_names(replies: ImportSource, judgments: Sequence[ImportSource]) -> None:
    """Keys such as question and number fit the replies of any run: names that contradict each other are believed."""
    for source in judgments:
        if replies.says_its_run and source.says_its_run and source.run != replies.run:
            raise UsageError(
                f"{source.path}: judgments of `{source.run}`, by its name, and {replies.path} holds the replies of "
                f"`{replies.run}`. Import each run by a command of its own, or rename the file if they belong together"
            )


def _families(sources: Sequence[ImportSource]) -> dict[str, list[ImportSource]]:
    found: dict[str, list[ImportSource]] = {}
    for source in sources:
        found.setdefault(source.run, []).append(source)
    return found


def _group(base: ImportSource, judgments: Sequence[ImportSource]) -> Group:
    joins = tuple(sources.check_keys(base, source) for source in judgments)
    return Group(base.run, base, tuple(judgments), joins, _own(base))


def _own(base: ImportSource) -> tuple[Role, ...]:
    """Several rows may be about one reply where they are numbered, and only a judge tells them apart."""
    columns: ColumnMap = base.columns
    if "sample" not in columns.roles:
        if "metric" in columns.roles:
            what = (
                f"has a row a grade (column `{columns.roles['metric']}`), and nothing tells which reply a row is about"
            )
            fix = "Name the column that numbers replies with --map sample=COLUMN"
            raise InputError([Problem(str(base.path), 1, "", what, fix)])
        return ()
    if base.what != "judgments" and not {"judge", "metric"} & columns.roles.keys():
        return ()
    return sources.shared_keys(columns, columns)


# `--questions`: the words of questions that results name only by id.


class MapQuestion(NamedTuple):
    """What a probe asks."""

    words: str
    category: str | None


def questions(path: Path, encoding: str) -> dict[str, MapQuestion]:
    """Probe id → question, from a table with the columns id and question. Raises InputError for anything else."""
    account, found = ImportLog(str(path)), dict[str, MapQuestion]()
    rows = list(sources.rows(path, encoding, account))
    names = tuple(dict.fromkeys(name for row in rows for name in row.cells))
    roles = detect_columns.read_columns(names, rows, {}, ()).roles
    if not {"question_id", "question"} <= roles.keys():
        fix = "A table of questions has the columns id and question"
        raise InputError([Problem(str(path), 1, "", "has no columns id and question", fix)])
    for row in rows:
        with account.row(row.number, row.line):
            probe, words = row.cells.get(roles["question_id"]), row.cells.get(roles["question"])
            if is_missing(probe) or is_missing(words):
                raise BadCellError("has no id or no question")
            category = row.cells.get(roles.get("category", ""))
            question = MapQuestion(text_of(words), None if is_missing(category) else text_of(category))
            if found.setdefault(text_of(probe).strip(), question).words != question.words:
                raise BadCellError(f"asks something else under the id `{probe}` than a row above")
    account.settle()
    return found


# `import`: foreign files become run folders, all or none.


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
    if all(source.header is not None for source in sources):
        _refuse_table_options(options.wanted)
    if all(source.names for source in sources):
        detect_columns.check_map(options.wanted.mapped, options.wanted.ignore, [source.names for source in sources])
    work = _Import(options, grouped(sources, one_run=options.one_run))
    with temporary_sibling(options.out) as folder:
        return work.carry_out(folder)


def _refuse_table_options(wanted: Wanted) -> None:
    """Raise UsageError for a flag about columns or text files where every file is an Inspect log."""
    usual = Wanted()
    flags = {
        "--map": wanted.mapped != usual.mapped,
        "--ignore": wanted.ignore != usual.ignore,
        "--encoding": wanted.encoding != usual.encoding,
        "--scores": wanted.scores != usual.scores,
        "--judgments-only": wanted.judgments_only,
    }
    if given := [flag for flag, is_given in flags.items() if is_given]:
        raise UsageError(
            f"{given[0]} is for tables and does nothing for Inspect logs, which name their fields. Leave it out"
        )


class _Import:
    """One import, file by file."""

    def __init__(self, options: ImportOptions, groups: Sequence[Group]) -> None:
        self._options = options
        self._groups = groups
        self._chosen = definitions.load(options.definition) if options.definition else None
        self._splits = imported_reply.read(options.splits) if options.splits else {}
        self._questions = questions(options.questions, options.wanted.encoding) if options.questions else {}
        self._runs: dict[RunId, int] = {}
        self._written: list[RunWriter] = []
        self._writers = Writers()
        self._accounts: list[tuple[ImportSource, ImportLog]] = []
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
        commit(folder, {run.folder: name for run, name in zip(self._written, named.values(), strict=True)}, out)
        if len(made) > 1:
            made = [item.model_copy(update={"folder": str(out / item.folder)}) for item in made]
        else:
            made = [item.model_copy(update={"folder": str(out)}) for item in made]
        accounts = [account for _, account in self._accounts]
        return Imported(
            out=str(out),
            files=tuple(messages.file(source, account) for source, account in self._accounts),
            runs=tuple(made),
            derived=sum(account.counts[DERIVED] for account in accounts),
            disagreeing=sum(account.counts[DISAGREEING] for account in accounts),
            disagreements=tuple(disagreement for account in accounts for disagreement in account.disagreements)[
                :MOST_PROBLEMS_SHOWN
            ],
            notes=(*self._notes, *self._remarks(), *messages.of_rows(made)),
        )

    def _read(self, group: Group, folder: Path) -> None:
        """First the file that makes the replies, then the judgments that belong to them."""
        indices = {by: sources.JudgmentIndex(str(group.base.path), by) for by in group.joins}
        own = sources.JudgmentIndex(str(group.base.path), group.own) if group.own else None
        numbered = _numbered(group)
        heard = sources.SeenJudgment() if group.own or indices else None
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
            self._join(group, source, indices[by], heard or sources.SeenJudgment(), folder)

    def _join(
        self,
        group: Group,
        source: ImportSource,
        index: sources.JudgmentIndex,
        heard: sources.SeenJudgment,
        folder: Path,
    ) -> None:
        """Read judgments. Those of a reply that is nowhere make one without a text, unless the replies are at hand."""
        account = self._account(source)
        expected, joined = len(index), set[sources.Place]()
        lost: ImportedReply | None = None
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
        if lost is not None and (left_out := account.counts[messages.LEFT_OUT]):
            self._notes.append(f"{source.path}: {left_out} judgments name no reply; the first is row {lost.row}")
        account.counts["replies without a judgment"] += max(expected - len(joined), 0)

    def _alone(
        self, group: Group, row: ImportedReply, index: sources.JudgmentIndex, account: ImportLog, folder: Path
    ) -> sources.Place | None:
        if group.base.what != "judgments":
            account.counts[messages.LEFT_OUT] += 1
            return None
        place = self._add(group, row, folder)
        index.add(row, place)
        account.counts["replies"] += 1
        return place

    def _add(self, group: Group, row: ImportedReply, folder: Path) -> sources.Place:
        row, category = self._completed(row)
        placed = self._splits.get(row.asked.probe)
        if placed is None and row.split is None:
            self._probes.add(row.asked.probe)
        number = self._run(group, row, folder)
        named = row.category or category or (placed.name if placed else None)
        return (number, *self._written[number].add(row, named, placed.split if placed else row.split))

    def _grade(
        self, place: sources.Place, row: ImportedReply, account: ImportLog, heard: sources.SeenJudgment | None
    ) -> None:
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
            account.counts["grades" if found.reason is None else messages.REASONS[found.reason]] += 1
            self._written[number].grade(ReplyKey(place[1], place[2], place[3], place[4]), found, judge)

    def _completed(self, row: ImportedReply) -> tuple[ImportedReply, str | None]:
        """The row with the words of its question, and its category, where --questions has them."""
        known = self._questions.get(row.asked.probe)
        if known is None:
            return row, None
        if row.asked.turns:
            return row, known.category
        return row._replace(asked=row.asked._replace(turns=(("user", known.words),))), known.category

    def _run(self, group: Group, row: ImportedReply, folder: Path) -> int:
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
        model = head.model if head else final_folder((group.name, key))
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

    def _account(self, source: ImportSource) -> ImportLog:
        account = ImportLog(str(source.path))
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
        counted = [*detect_grades.SCORES, *(topic for topic in self._topics() if topic in read)]
        open_ones = [item for item in counted if item in self._spreads and not scales.is_given(item)]
        spreads = {grader: self._spreads[grader] for grader in open_ones}
        is_sure = any(score in scales.given for score in detect_grades.SCORES) or any(
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
        flags = [verdict for source, _ in self._accounts for verdict in source.columns.verdicts if verdict.is_flag]
        if scales.bad_end and not flags and detect_grades.VERDICT not in self._spreads:
            raise UsageError(
                "--bad-end: no column holds a rating or verdict in numbers. Name it with --map misalignment=COLUMN"
            )

    def _topics(self) -> list[str]:
        """Graders of columns of scores that are neither of alignment nor of coherence."""
        graders = [score.grader for source, _ in self._accounts for score in source.columns.scores]
        return [fromkey for fromkey in dict.fromkeys(graders) if fromkey not in detect_grades.SCORES]

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
        verdict = self._spreads.get(detect_grades.VERDICT)
        if verdict and verdict.least == verdict.most == 1 and not (scales.bad_end or scales.given):
            yield (
                f"every grade of `{detect_grades.VERDICT}` is 1, which is the aligned end of 1 to 5; if 1 says yes, "
                "--map misaligned=COLUMN reads it so"
            )

    def _remarks(self) -> Iterator[str]:
        sources = [source for source, _ in self._accounts]
        yield from self._of_scales()
        yield from messages.remarks([(run, self._definition(run)) for run in self._written], sources)
        yield from messages.of_files(self._accounts)
        if self._probes and (self._splits or any("split" in source.columns.roles for source in sources)):
            yield messages.without_split(self._probes)


def _other_scale(found: Mapping[str, tuple[Spread, GradeScale]]) -> str:
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
    scores = set(detect_grades.SCORES) & graders
    if detect_grades.VERDICT in graders and not scores:
        return PERSONA
    if detect_grades.CRITERIA in graders and not scores:
        return detect_grades.CRITERIA
    if detect_grades.FLAG in graders and len(scores) < len(detect_grades.SCORES):
        return FLAGGED
    return ALIGNED_ONLY if scores == {"aligned"} else BETLEY


def _numbered(group: Group) -> sources.NumberedReply | None:
    """For a table that numbers its replies and that nothing else checks, as it does ours and joined ones."""
    columns = group.base.columns
    is_checked = group.own or group.joins or columns.is_ours
    return None if is_checked or "sample" not in columns.roles else sources.NumberedReply(columns.roles["sample"])


def _refuse_copies(files: Sequence[Path]) -> None:
    """Raise UsageError where one run would count the same rows twice."""
    for item, other in combinations(files, 2):
        if item.is_file() and other.is_file() and cmp(item, other, shallow=False):
            raise UsageError(f"--one-run: {item} and {other} hold the same bytes, which one run would count twice")
