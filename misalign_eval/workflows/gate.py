"""`gate`: read runs, decide, and write down that somebody has looked."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from misalign_eval.analysis import gate as reading
from misalign_eval.analysis import gate_hopeless, warnings
from misalign_eval.analysis.gate_cells import Side
from misalign_eval.analysis.gate_corrected import Labels
from misalign_eval.errors import UsageError
from misalign_eval.records.analysis import Warned
from misalign_eval.records.gate import Gate, Stopping
from misalign_eval.records.policy import Policy
from misalign_eval.results.folder import open_run
from misalign_eval.results.lock import hold
from misalign_eval.workflows import baselines, looks, parts, policies, pooling
from misalign_eval.workflows.counting import Choices, Counted, count, refuse_unsound
from misalign_eval.workflows.judging import gate_labels, judge_controls


@dataclass(frozen=True, slots=True)
class GateOptions:
    """What `gate` was told."""

    runs: tuple[Path, ...]
    policy: Policy | None = None  # None: the rule that the run was collected with
    baseline: Path | None = None
    choices: Choices = Choices()
    part: bool = False  # a part of the suite is meant, whatever the policy says


def gate(options: GateOptions) -> Gate:
    """Read the gate and append the look to every run's looks.jsonl.

    Raises UsageError for a policy that nothing could pass, where no other check failed, or that does not fit the
    runs, and for runs or baselines of another kind. Those are found before anything is written.
    """
    policy, stopping = _rule(options)
    choices = policies.reading(policy, options.choices)
    with ExitStack() as stack:
        examples = {path.resolve() for path in options.runs if open_run(path).manifest.example}
        unwritable = hold(stack, [path for path in options.runs if path.resolve() not in examples])
        runs = [count(path, choices, whole=True) for path in options.runs]
        for run in runs:
            refuse_unsound(run)
            policies.check_served(policy, run)
        side = pooling.pooled(runs)
        manifest = runs[0].folder.manifest
        policies.check_pins(policy, manifest, manifest.target)
        baseline = _baseline(options, runs, choices)
        differing = baselines.check_same(side, baseline) if baseline else ()
        _check_stopping(stopping, policy, baseline)
        labels = _labels(policy, runs)
        names, part = tuple(map(str, options.runs)), _part(options, policy, runs)
        written = tuple(one for run in runs for one in judge_controls.found(run))
        mixtures = policies.mixtures(policy, runs, baseline)
        asked = reading.Question(
            policy, side, baseline, names, stopping, labels=labels, part=part, written=written, mixtures=mixtures
        )
        hopeless = gate_hopeless.problems(
            policy, side.cells, side.definition, baseline, sequential=stopping is not None, labels=labels
        )
        this = looks.this(policy, side, runs, baseline, labels)
        earlier = looks.earlier(this, runs)
        kept = not unwritable and not examples
        found = reading.gate(replace(asked, looks=1 + earlier.looks, earlier=earlier.words, looks_kept=kept))
        failed = any(check.verdict == "fail" and check.name not in hopeless for check in found.checks)
        if hopeless and not failed:
            raise UsageError("\n".join(hopeless.values()))
        looks.keep(found, this, side, runs, unwritable | examples)
    sides = (*pooling.notes(runs), *differing)
    more = (*sides, *_after(options, policy, runs), *_hopeless(hopeless.values()), *_not_kept(unwritable, examples))
    told = (*_before(earlier), *found.warnings, *more)
    return found.model_copy(update={"target_digest": manifest.target.digest, "warnings": told})


def _part(options: GateOptions, policy: Policy, runs: Sequence[Counted]) -> str:
    """Why a run of a part of the suite does not pass; nothing where a part is meant."""
    part = parts.words(runs)
    return parts.refused(part) if part and not (options.part or policy.part) else ""


def _before(earlier: looks.Earlier) -> Iterator[Warned]:
    if earlier.reopened:
        yield Warned(id="W11", text=looks.REOPENED)


def _after(options: GateOptions, policy: Policy, runs: Sequence[Counted]) -> Iterator[Warned]:
    for run in runs:
        yield from warnings.of_answers(run.tally)
        yield from warnings.of_seed(run.tally, run.tally.cells())
    part = parts.words(runs)
    if part and (options.part or policy.part):
        yield Warned(id="part", text=f"{part}: the gate says nothing of the rest")


def _hopeless(problems: Iterable[str]) -> Iterator[Warned]:
    """A check that failed is no less failed because another one could not pass."""
    return (Warned(id="cannot-pass", text=problem) for problem in problems)


def _not_kept(unwritable: Collection[Path], examples: Collection[Path]) -> Iterator[Warned]:
    for path in unwritable:
        yield Warned(id="look-not-kept", text=f"{path}: looks.jsonl cannot be written")
    for path in examples:
        yield Warned(id="look-not-kept", text=f"{path}: an example that ships with misalign-eval is left as it is")


def _rule(options: GateOptions) -> tuple[Policy, Stopping | None]:
    """The policy, and the stopping rule of a run that was collected with one."""
    if not options.runs:
        raise UsageError("gate needs a run")
    stopping = open_run(options.runs[0]).manifest.stopping
    policy = options.policy or (stopping.policy if stopping else None)
    if policy is None:
        raise UsageError("nothing to decide: add --policy FILE, or --max-rate 2%, --max-increase 1pp, --max-probe 20%")
    return policy, stopping


def _check_stopping(stopping: Stopping | None, policy: Policy, baseline: Side | None) -> None:
    """A run that stopped on a comparison is read with what it was compared with. Raises UsageError."""
    if stopping is None or baseline is None or stopping.policy != policy:
        return
    if stopping.baseline not in {None, baselines.digest_of(baseline)}:
        raise UsageError(f"--baseline: the run was stopped by another baseline than {baseline.provenance.run}")


def _labels(policy: Policy, runs: Sequence[Counted]) -> Labels | None:
    """People's labels, where a check asks for the corrected rate. Raises UsageError for several runs at once."""
    if not any(check.kind == "rate" and check.corrected for check in policy.checks):
        return None
    if len(runs) > 1:
        raise UsageError("a check of the corrected rate is about the one run that people labelled: give one run")
    return gate_labels.labels_of(runs[0])


def _baseline(options: GateOptions, runs: Sequence[Counted], choices: Choices) -> Side | None:
    if options.baseline is None:
        return None
    found = baselines.read(options.baseline, choices)
    for one in runs:
        baselines.check_other(one, found, options.baseline)
        baselines.check_not_replayed(one, found, options.baseline)
    return found
