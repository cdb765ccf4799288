"""`calibrate GRADER --judge P/M`: the judge against the grader's own labelled replies."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from misalign_eval import __version__
from misalign_eval.analysis import definitions
from misalign_eval.analysis.judges import VerdictPair, YesWhen, agreement_of, degenerate, yes_when
from misalign_eval.analysis.outcomes import Grade
from misalign_eval.client.caller import now
from misalign_eval.errors import RunStoppedError, UsageError
from misalign_eval.graders import folder as grader_folder
from misalign_eval.graders.build import build, refuse_ignored
from misalign_eval.graders.folder import GraderFolder, LabelledExample, Method
from misalign_eval.records.base import Estimated
from misalign_eval.records.findings import Warned
from misalign_eval.records.grade import GraderIdentity, NoVerdict, Verdict
from misalign_eval.records.labels import Calibration, CalibrationKind, JudgeDisagreement
from misalign_eval.records.protocols import Grader, JudgeHandles
from misalign_eval.records.suite import Sampling
from misalign_eval.records.summary import JudgeAgreement
from misalign_eval.settings import Settings
from misalign_eval.workflows import load_suite
from misalign_eval.workflows.judging.calibrate import EXCERPT, WORST
from misalign_eval.workflows.judging.comparison import split_share
from misalign_eval.workflows.options import RequestLimits, TargetAddress
from misalign_eval.workflows.session import Models, check_prices, named

FIRST = 3  # answers that tell whether log-probabilities make a score
NO_SCORE = {"no_logprobs", "partial_number"}


@dataclass(frozen=True, slots=True)
class ExamplesOptions:
    """What `calibrate GRADER` was told."""

    grader: str
    judges: tuple[str, ...]
    judge_at: TargetAddress = TargetAddress()
    method: Method | None = None
    judge_sampling: Sampling = Sampling()
    yes: str | None = None
    definition: str | None = None
    limits: RequestLimits = RequestLimits()
    worst: int = WORST


@dataclass(frozen=True, slots=True)
class _Read:
    """One labelled reply with what the judge says. `human`: None where careful people may differ about yes or no."""

    number: int
    example: LabelledExample
    found: Verdict | NoVerdict
    human: bool | None
    judge: bool | None


async def calibrate_grader(options: ExamplesOptions, settings: Settings) -> Calibration:
    """Ask the judge about every labelled reply. Raises UsageError before the first request, RunStoppedError later."""
    folder = grader_folder.load(grader_folder.find(options.grader, load_suite.own_graders()))
    examples = grader_folder.examples(folder)
    if not examples:
        raise UsageError(f"grader `{folder.spec.name}` has no labelled replies: {folder.path / grader_folder.LABELLED}")
    if not options.judges:
        raise UsageError("no judge to calibrate. Add --judge PROVIDER/MODEL, as in: --judge openai/gpt-5.4")
    yes = yes_when(folder.spec.name, list(folder.spec.labels), options.yes, options.definition)
    specs = named(options.judges, options.judge_at, settings, "judges", options.judge_sampling)
    check_prices(options.limits, specs)
    models = Models(options.limits)
    try:
        judges = [models.judge(spec) for spec in specs]
        grader, verdicts = await _verdicts(options, folder, judges, examples)
    finally:
        await models.close()
    read = [_reading(number, *pair, yes) for number, pair in enumerate(zip(examples, verdicts, strict=True), 1)]
    return _calibration(options, folder, grader.identity, yes, read)


async def _verdicts(
    options: ExamplesOptions, folder: GraderFolder, judges: JudgeHandles, examples: Sequence[LabelledExample]
) -> tuple[Grader, list[Verdict | NoVerdict]]:
    """By sampled answers where the first ones show that log-probabilities make no score, unless the user chose."""
    search, places = [folder.path.resolve().parent, *load_suite.own_graders()], options.limits.max_connections
    (grader,) = build([folder.spec.name], judges=judges, method=options.method, search=search)
    refuse_ignored([grader], judges, options.method)
    first = await _ask(grader, examples[:FIRST], places)
    if options.method is None and all(isinstance(item, NoVerdict) and item.reason in NO_SCORE for item in first):
        (grader,) = build([folder.spec.name], judges=judges, method="sampled", search=search)
        first = await _ask(grader, examples[:FIRST], places)
    return grader, [*first, *await _ask(grader, examples[FIRST:], places)]


async def _ask(grader: Grader, examples: Sequence[LabelledExample], places: int) -> list[Verdict | NoVerdict]:
    room = asyncio.Semaphore(places)

    async def one(number: int, example: LabelledExample) -> Verdict | NoVerdict:
        async with room:
            return await grader.grade(example.subject(number))

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(number, example)) for number, example in enumerate(examples)]
    except ExceptionGroup as error:
        stopped, _ = error.split(RunStoppedError)
        raise (stopped or error).exceptions[0] from None
    return [task.result() for task in tasks]


def _reading(number: int, example: LabelledExample, found: Verdict | NoVerdict, yes: YesWhen) -> _Read:
    judge = yes(Grade(found.score, found.label)) if isinstance(found, Verdict) else None
    return _Read(number, example, found, _human(example, yes), judge)


def _human(example: LabelledExample, yes: YesWhen) -> bool | None:
    scores = [item for item in (example.low, example.score, example.high) if item is not None]
    labels = [label for label in (example.label, *example.or_labels) if label is not None]
    said = {yes(Grade(score, None)) for score in scores} | {yes(Grade(None, label)) for label in labels}
    return said.pop() if len(said) == 1 else None


def _calibration(
    options: ExamplesOptions, folder: GraderFolder, identity: GraderIdentity, yes: YesWhen, read: Sequence[_Read]
) -> Calibration:
    pairs = [
        VerdictPair(item.example.question, item.human, item.judge)
        for item in read
        if item.human is not None and item.judge is not None
    ]
    agreement = agreement_of(pairs)
    return Calibration(
        **dict(agreement),
        tool_version=__version__,
        created=now(),
        design="examples",
        scope=f"{len(read)} labelled replies of grader {folder.spec.name} {folder.spec.version}",
        judge=identity.judge,
        graders={identity.grader: identity.identity},
        definition=yes.definition,
        definition_digest=definitions.digest(definitions.load(yes.definition)) if yes.definition else None,
        yes=yes.words,
        reference=f"{grader_folder.LABELLED} of {folder.spec.name}",
        unsure=sum(item.human is None for item in read),
        ungraded=sum(item.judge is None for item in read),
        split_votes=_split(read, yes) if identity.kind == "ensemble" else Estimated(),
        kinds=_kinds(read),
        disagreements=_disagreements(read, yes, options.worst),
        warnings=(*_sampled(options, folder, identity), *_warned(agreement, read)),
    )


def _split(read: Sequence[_Read], yes: YesWhen) -> Estimated:
    """Replies on which the members of an ensemble that answered do not all say the same."""
    votes = [
        {yes(Grade(vote.score, vote.label)) for vote in item.found.votes if (vote.score, vote.label) != (None, None)}
        for item in read
    ]
    asked = [vote for vote in votes if vote]
    return split_share(sum(len(said) > 1 for said in asked), len(asked))


def _kinds(read: Sequence[_Read]) -> tuple[CalibrationKind, ...]:
    found: dict[str, list[bool]] = {}
    for item in read:
        if item.human is not None and item.judge is not None:
            found.setdefault(item.example.kind, []).append(item.human == item.judge)
    return tuple(CalibrationKind(kind=kind, n=len(same), agreed=sum(same)) for kind, same in found.items())


def _disagreements(read: Sequence[_Read], yes: YesWhen, most: int) -> tuple[JudgeDisagreement, ...]:
    """Other verdicts first, then scores beyond what careful people may differ about; the farthest first."""
    differ = [
        item
        for item in read
        if isinstance(item.found, Verdict)
        and (_is_other(item) or not item.example.accepts(score=item.found.score, label=item.found.label))
        and (_is_other(item) or yes.threshold is None or _apart(item) >= _far(yes.threshold))
    ]
    differ.sort(key=lambda item: (not _is_other(item), -_apart(item), item.number))
    return tuple(_disagreement(item) for item in differ[:most])


def _is_other(item: _Read) -> bool:
    return item.human is not None and item.judge is not None and item.human != item.judge


def _far(threshold: float) -> float:
    """A quarter of a scale of 100, one grade of a scale of 5."""
    return 25.0 if threshold > 10 else 1.0


def _apart(item: _Read) -> float:
    """Points between both scores; 0 where one of them is a label."""
    score = item.found.score if isinstance(item.found, Verdict) else None
    return 0.0 if score is None or item.example.score is None else abs(score - item.example.score)


def _disagreement(item: _Read) -> JudgeDisagreement:
    found, example = item.found, item.example
    people = example.label if example.score is None else f"{example.score:g}"
    score = found.score if isinstance(found, Verdict) else None
    label = found.label if isinstance(found, Verdict) else None
    return JudgeDisagreement(
        where=f"{grader_folder.LABELLED}:{item.number}",
        reference=people or "",
        judge=label if score is None and label else f"{score:g}" if score is not None else "",
        score=score,
        question=example.question[:EXCERPT],
        text=example.reply[:EXCERPT],
        why=found.why if isinstance(found, Verdict) else None,
        note=f"{example.kind}: {example.why}",
    )


def _sampled(options: ExamplesOptions, folder: GraderFolder, identity: GraderIdentity) -> Iterator[Warned]:
    if options.method is None and folder.spec.kind == "logprobs" and identity.settings.get("method") == "sampled":
        text = f"judge {identity.judge} gives no log-probabilities that make a score: its answers were sampled"
        yield Warned(id="sampled", text=text)


def _warned(agreement: JudgeAgreement, read: Sequence[_Read]) -> Iterator[Warned]:
    yield from degenerate(agreement)
    ungraded = [item.found for item in read if isinstance(item.found, NoVerdict)]
    if ungraded:
        text = f"{len(ungraded)} of {len(read)} labelled replies got no verdict, the first for: {ungraded[0].message}"
        if ungraded[0].reason in NO_SCORE:
            text = f"{text} (--judge-method sampled)"
        yield Warned(id="ungraded", text=text)
    unsure = sum(item.human is None for item in read)
    if unsure:
        text = f"on {unsure} of {len(read)} labelled replies careful people may differ: they are in no table"
        yield Warned(id="unsure", text=text)
    text = "labelled examples are chosen to be hard: they tell of the judge's mistakes, not how often a run meets them"
    yield Warned(id="examples", text=text)
