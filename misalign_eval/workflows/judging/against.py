"""`calibrate RUN [RUN] --against JUDGE`: two judges on the same replies, and how level and change shift."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from misalign_eval import __version__
from misalign_eval.analysis import definitions, judge_swap
from misalign_eval.analysis.agreement import Pair, agreement_of, degenerate
from misalign_eval.analysis.calibration import Said
from misalign_eval.errors import UsageError
from misalign_eval.records.calibration import Disagreement, JudgeSwap
from misalign_eval.records.definition import Definition
from misalign_eval.records.grade import GraderIdentity
from misalign_eval.records.plan import ReplyKey
from misalign_eval.replies.collect import now
from misalign_eval.results.folder import RunFolder, open_run
from misalign_eval.workflows.counting import Choices, chosen_definition, chosen_graders
from misalign_eval.workflows.judging.calibrating import WORST
from misalign_eval.workflows.judging.disagreements import disagreements
from misalign_eval.workflows.judging.swapping import judge_name
from misalign_eval.workflows.verdicts import Verdicts, read_verdicts, refuse_means

MOST_RUNS = 2


@dataclass(frozen=True, slots=True)
class AgainstOptions:
    """What `calibrate --against` was told. Judges: GRADER=IDENTITY, GRADER=P/M, or a judge for all graders it has."""

    runs: tuple[Path, ...]
    judge: tuple[str, ...]
    reference: tuple[str, ...]
    choices: Choices = Choices()
    worst: int = WORST


@dataclass(frozen=True, slots=True)
class _Run:
    reference: Verdicts
    judge: Verdicts
    pairs: tuple[tuple[ReplyKey, Pair], ...]


def against(options: AgainstOptions) -> JudgeSwap:
    """Hold the judge against the reference. Raises UsageError for judges that did not grade these runs."""
    if len(options.runs) > MOST_RUNS:
        raise UsageError("--against takes one run, or two: BEFORE AFTER")
    runs = [_run(path, options) for path in options.runs]
    last = runs[-1]
    pairs = [pair for run in runs for _, pair in run.pairs]
    if not pairs:
        raise UsageError("there is no reply that both judges graded")
    made = agreement_of(pairs)
    tables = [judge_swap.by_prompt(run.judge.folder.plan(), run.pairs) for run in runs]
    return JudgeSwap(
        **dict(made),
        tool_version=__version__,
        created=now(),
        design="judges",
        run=", ".join(run.judge.folder.manifest.name for run in runs),
        scope=_scope(runs, options.choices.split),
        judge=judge_name(last.judge.graders),
        graders=_identities(last.judge.graders),
        definition=last.judge.definition.name,
        definition_digest=definitions.digest(last.judge.definition),
        reference=judge_name(last.reference.graders),
        disagreements=_disagreements(runs, options.worst),
        warnings=tuple(degenerate(made)),
        shifts=tuple(
            judge_swap.shift_of_run(run.judge.folder.manifest.name, tuple(table.values()))
            for run, table in zip(runs, tables, strict=True)
            if table
        ),
        difference=judge_swap.shift_between(*tables) if len(tables) == MOST_RUNS else None,
    )


def _run(path: Path, options: AgainstOptions) -> _Run:
    folder = open_run(path)
    definition = chosen_definition(folder, options.choices)
    refuse_means(definition)
    reference, judge = (
        read_verdicts(folder, definition, chosen_graders(folder, definition, named(folder, definition, given, flag)))
        for given, flag in ((options.reference, "--against"), (options.judge, "--use-judge"))
    )
    if _identities(reference.graders) == _identities(judge.graders):
        who = judge_name(judge.graders)
        raise UsageError(f"{path}: both sides are {who}. Name the judge with --use-judge and the other with --against")
    split = options.choices.split or "all"
    found = judge_swap.pairs(_judged(reference, split), _judged(judge, split), definition)
    return _Run(reference, judge, tuple(found))


def _judged(read: Verdicts, split: str) -> judge_swap.Outcomes:
    """Only what the judge itself said: what the provider refused tells nothing of a judge."""
    return {key: found for key, found in read.inside(split).items() if key in read.judged}


def named(folder: RunFolder, definition: Definition, given: Sequence[str], flag: str) -> dict[str, str]:
    """Which identity each grader has. Raises UsageError for a judge that graded nothing here."""
    chosen: dict[str, str] = {}
    there = [who for who in folder.grader_identities() if who.grader in definition.graders]
    for one in given:
        grader, equals, identity = one.partition("=")
        if equals:
            chosen[grader] = identity
            continue
        fits = [who for who in there if who.judge == one or who.identity.startswith(one)]
        if not fits:
            known = ", ".join(dict.fromkeys(who.judge or who.identity for who in there if who.kind != "rule"))
            raise UsageError(f"{flag} {one}: no such judge in {folder.path}. It has: {known or 'none'}")
        if len({who.grader for who in fits}) < len(fits):
            several = ", ".join(f"{who.grader}={who.identity}" for who in fits)
            raise UsageError(f"{flag} {one}: fits several graders of {folder.path}. Choose one: {several}")
        chosen |= {who.grader: who.identity for who in fits}
    return chosen


def _identities(graders: Sequence[GraderIdentity]) -> dict[str, str]:
    return {who.grader: who.identity for who in graders}


def _scope(runs: Sequence[_Run], split: str | None) -> str:
    words = dict.fromkeys(run.judge.head(split or "all").words for run in runs)
    return f"replies that both graded: {'; '.join(words)}"


def _disagreements(runs: Sequence[_Run], most: int) -> tuple[Disagreement, ...]:
    found: list[Disagreement] = []
    for run in runs:
        said = [
            Said(key, "misaligned" if pair.reference else "aligned", pair.reference, pair.judge, None)
            for key, pair in run.pairs
        ]
        found += disagreements(run.judge, said, {}, most)
    return tuple(found[:most])
