"""`label`: draws replies for people and keeps their labels."""

import shlex
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from misalign_eval.analysis import definitions, judges
from misalign_eval.analysis.judges import of_labellers
from misalign_eval.client.caller import now
from misalign_eval.errors import UsageError
from misalign_eval.records.definition import UNKNOWN, Definition
from misalign_eval.records.labels import HumanLabel, Label, LabelledRun, Labelling, LabelRetraction, Sample
from misalign_eval.records.run import PlannedPrompt, Reply, ReplyKey
from misalign_eval.store import labels as stored
from misalign_eval.store import lock
from misalign_eval.store.labels import check_entries, read_table
from misalign_eval.store.lock import writing
from misalign_eval.store.rows import RowWriter
from misalign_eval.store.run_folder import RunFolder, open_run
from misalign_eval.workflows.load_run import Choices, GradeColumnsOfRun, verdicts

# Reading options of the sample: the run is counted as it was when the sample was drawn.


def sample_settings(run: Path, sample: Sample | None, choices: Choices) -> Choices:
    """The judge, definition and split of the sample, where the flags say nothing else. None: nothing was drawn.

    Raises UsageError for another definition: the strata of a sample are those of the one it was drawn by.
    """
    if sample is None:
        return choices
    asked = choices.definition
    if asked is not None and definitions.digest(definitions.load(asked)) != sample.definition_digest:
        raise UsageError(
            f"--definition {asked}: the sample of {run} was drawn by definition `{sample.definition}`. "
            f"Leave out --definition to go on with it. {anew(run)}"
        )
    own = definitions.digest(open_run(run).manifest.definition) == sample.definition_digest
    return replace(
        choices,
        definition=choices.definition or (None if own else sample.definition),
        use_judge=choices.use_judge or sample.graders,
        split=sample.split if choices.split is None else choices.split,
    )


def anew(run: Path) -> str:
    """What to do for another sample."""
    return f"To begin anew, move {run / lock.LABELS} away"


# `label`: draws the sample of replies, and stores the labels.


DEFAULT_LABELS = 100
DEFAULT_SEED = 1


@dataclass(frozen=True, slots=True)
class LabelOptions:
    """What `label` was told. None: as the sample says that is there already."""

    runs: tuple[Path, ...]
    labeller: str
    labels: int | None = None
    seed: int | None = None
    choices: Choices = Choices()


@dataclass(frozen=True, slots=True)
class LabelItem:
    """A reply to label. Everything in it but its place is hostile."""

    run: int
    prompt: PlannedPrompt
    reply: Reply
    parts: frozenset[str]  # what the graders see of it


@dataclass
class LabelSession:
    """One labeller's work: what is to do, what is done. A context manager: the files are durable on leaving."""

    labeller: str
    definition: Definition
    folders: tuple[RunFolder, ...]
    samples: tuple[Sample, ...]
    items: dict[tuple[int, ReplyKey], LabelItem]  # in this labeller's order
    _to_do: deque[tuple[int, ReplyKey]] = field(default_factory=deque)
    _done: list[tuple[int, ReplyKey]] = field(default_factory=list)
    _writers: list[RowWriter] = field(default_factory=list)
    _stack: ExitStack = field(default_factory=ExitStack)

    @property
    def scale(self) -> tuple[HumanLabel, ...]:
        """What a reply may be labelled."""
        return judges.scale(self.definition)

    def __enter__(self) -> Self:
        """Hold the labeller's files. Raises FolderLockedError when somebody works under this name."""
        for folder in self.folders:
            place = folder.path / lock.LABELS
            self._stack.enter_context(writing(place, f"{self.labeller}.lock"))
            writer = RowWriter(lock.labels_file(folder.path, self.labeller))
            self._stack.callback(writer.close)
            self._writers.append(writer)
        given = [
            (label.at, number, key)
            for number, folder in enumerate(self.folders)
            for key, label in stored.labels_of(folder.path, self.labeller).items()
        ]
        there = {(number, key) for _, number, key in given}
        self._done = [(number, key) for _, number, key in sorted(given, key=lambda item: item[0])]
        self._to_do.extend(item for item in self.items if item not in there)
        return self

    def __exit__(self, *_: object) -> None:
        """Close every file."""
        self._stack.close()

    @property
    def current(self) -> LabelItem | None:
        """What is to be labelled next; None when all is done."""
        return self.items[self._to_do[0]] if self._to_do else None

    @property
    def done(self) -> int:
        """Replies of the samples that have a label."""
        return len(self.items) - len(self._to_do)

    def put(self, label: HumanLabel, note: str | None = None) -> None:
        """Label the current reply."""
        run, key = self._to_do.popleft()
        self._write(run, Label(**key._asdict(), label=label, note=note, at=now()))
        self._done.append((run, key))

    def back(self) -> bool:
        """Take the last label back; false when there is none."""
        while self._done:
            place = self._done.pop()
            if place in self.items:
                self._write(place[0], LabelRetraction(**place[1]._asdict(), at=now()))
                self._to_do.appendleft(place)
                return True
        return False

    def skip(self) -> None:
        """Leave the current reply for the end."""
        self._to_do.rotate(-1)

    def _write(self, run: int, row: Label | LabelRetraction) -> None:
        self._writers[run].write(row)
        self._writers[run].sync()


def open_session(options: LabelOptions) -> LabelSession:
    """Draw the samples, or read those that are there. Raises UsageError before anything is asked."""
    runs = _runs(options)
    samples = tuple(_sample(run, options) for run in runs)
    seed = samples[0].seed
    keys = [(number, item.key) for number, sample in enumerate(samples) for item in sample.drawn]
    order = judges.shuffled(keys, seed, options.labeller)
    texts = {number: _texts(run.folder, samples[number]) for number, run in enumerate(runs)}
    parts = [judges.strata(run.graders) for run in runs]
    items = {
        (number, key): LabelItem(number, *texts[number][key], parts[number])
        for number, key in order
        if key in texts[number]
    }
    return LabelSession(options.labeller, runs[0].definition, tuple(run.folder for run in runs), samples, items)


def _runs(options: LabelOptions) -> list[GradeColumnsOfRun]:
    if len({path.resolve() for path in options.runs}) < len(options.runs):
        raise UsageError("a run is named twice")
    runs = [verdicts(path, _reading(path, options)) for path in options.runs]
    counted = {definitions.digest(run.definition) for run in runs}
    if len(counted) > 1:
        raise UsageError("the runs count differently. Choose one definition for all with --definition NAME")
    return runs


def _reading(path: Path, options: LabelOptions) -> Choices:
    return sample_settings(path, stored.sample_of(path), options.choices)


def _sample(run: GradeColumnsOfRun, options: LabelOptions) -> Sample:
    """The run's sample: as it is, with more replies, or drawn now."""
    there = stored.sample_of(run.folder.path)
    if there is not None and options.labels in {None, there.labels} and options.seed in {None, there.seed}:
        _check_same(run, there, options)
        return there
    wanted = options.labels or (there.labels if there else DEFAULT_LABELS)
    seed = options.seed if options.seed is not None else there.seed if there else DEFAULT_SEED
    found = _drawn(run, _reading(run.folder.path, options).split, wanted, seed)
    if there is not None:
        _check_same(run, there, options)
        _check_grows(run, there, found)
    stored.keep_sample(run.folder.path, found)
    return found


def _drawn(run: GradeColumnsOfRun, split: str | None, wanted: int, seed: int) -> Sample:
    graded = {key: found for key, found in run.inside(split).items() if found in run.definition.denominator}
    readable = {row.key for row in run.folder.replies() if isinstance(row, Reply) and row.text is not None}
    known = {key: found for key, found in graded.items() if key in readable and found not in UNKNOWN}
    if not known:
        why = "the texts of its replies were not published" if graded else "it has no graded replies"
        raise UsageError(f"{run.folder.path}: nothing to label: {why}")
    flagged = tuple(key for key, found in known.items() if found in run.definition.numerator)
    unflagged = tuple(key for key, found in known.items() if found not in run.definition.numerator)
    return Sample(
        seed=seed,
        labels=wanted,
        definition=run.definition.name,
        definition_digest=definitions.digest(run.definition),
        graders={grader.grader: grader.identity for grader in run.graders},
        split=split,
        scope=run.head(split).words,
        flagged=len(flagged),
        unflagged=len(unflagged),
        drawn=judges.draw(judges.LabelFrame(flagged, unflagged), wanted, seed),
    )


def _check_same(run: GradeColumnsOfRun, there: Sample, options: LabelOptions) -> None:
    graders = {grader.grader: grader.identity for grader in run.graders}
    what = [
        name
        for name, was, is_now in (
            ("definition", there.definition_digest, definitions.digest(run.definition)),
            ("judge", there.graders, graders),
            ("split", there.split, options.choices.split or there.split),
        )
        if was != is_now
    ]
    if what:
        raise UsageError(
            f"{run.folder.path}: its sample was drawn with another {' and '.join(what)}. {anew(run.folder.path)}"
        )


def _check_grows(run: GradeColumnsOfRun, there: Sample, sample: Sample) -> None:
    if sample.seed != there.seed:
        raise UsageError(f"{run.folder.path}: its sample was drawn with seed {there.seed}. {anew(run.folder.path)}")
    if not set(there.drawn) <= set(sample.drawn):
        why = "the run has other graded replies now" if sample.labels >= there.labels else "a sample only grows"
        raise UsageError(
            f"{run.folder.path}: {there.labels} labels were drawn, and {sample.labels} do not hold them: {why}. "
            f"Leave out --labels to go on. {anew(run.folder.path)}"
        )


def _texts(folder: RunFolder, sample: Sample) -> dict[ReplyKey, tuple[PlannedPrompt, Reply]]:
    prompts = {item.cell: item for item in folder.plan()}
    asked = {item.key for item in sample.drawn}
    rows = (row for row in folder.replies() if isinstance(row, Reply) and row.key in asked)
    return {row.key: (prompts[row.cell], row) for row in rows}


def import_labels(options: LabelOptions, table: Path) -> Labelling:
    """Take labels from a table. Raises InputError with every line that does not fit; nothing is written then."""
    if len(options.runs) != 1:
        raise UsageError("--import takes the labels of one run")
    run = verdicts(options.runs[0], _reading(options.runs[0], options))
    entries = read_table(table)
    folder = run.folder
    with writing(folder.path / lock.LABELS, f"{options.labeller}.lock"):
        done = stored.labels_of(folder.path, options.labeller)
        scale: Sequence[HumanLabel] = judges.scale(run.definition)
        check_entries(table, entries, run.outcomes, scale, done)
        writer = RowWriter(lock.labels_file(folder.path, options.labeller))
        try:
            for entry in entries:
                label = next(name for name in scale if name == entry.label)
                key = entry.key._asdict()
                writer.write(Label(**key, label=label, note=entry.note, at=now(), imported=table.name))
        finally:
            writer.close()
    sample = stored.sample_of(folder.path)
    return summary(options.labeller, run.definition, [(folder, sample)])


def summary(labeller: str, definition: Definition, runs: Sequence[tuple[RunFolder, Sample | None]]) -> Labelling:
    """How far a labeller has come, and how well all labellers agree."""
    said = [{name: stored.labels_of(run.path, name) for name in stored.labellers(run.path)} for run, _ in runs]
    mine = [everyone.get(labeller, {}) for everyone in said]
    drawn = [{item.key for item in sample.drawn} if sample else set() for _, sample in runs]
    is_done = all(keys <= given.keys() for keys, given in zip(drawn, mine, strict=True))
    counts = [Counter(label.label for label in given.values()) for given in mine]
    lines = [
        LabelledRun(
            run=run.manifest.name,
            drawn=len(keys),
            labelled=len(given),
            left=len(keys - given.keys()),
            labels={name: count[name] for name in judges.scale(definition)} if is_done else None,
        )
        for (run, _), keys, given, count in zip(runs, drawn, mine, counts, strict=True)
    ]
    agreement = of_labellers(said, definition)
    return Labelling(labeller=labeller, runs=tuple(lines), agreement=agreement, next=_next(labeller, lines, runs))


def _next(labeller: str, lines: Sequence[LabelledRun], runs: Sequence[tuple[RunFolder, Sample | None]]) -> str:
    """The command that goes on."""
    paths = [str(folder.path) for folder, _ in runs]
    if any(line.left for line in lines):
        return shlex.join(["misalign-eval", "label", *paths, "--labeller", labeller])
    return shlex.join(["misalign-eval", "calibrate", paths[0]])
