"""What else differs between two runs, beside the model: each makes the comparison less than it seems."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial

from misalign_eval.analysis import alike
from misalign_eval.analysis.pairing import Paired
from misalign_eval.analysis.tally import Cell
from misalign_eval.errors import UsageError
from misalign_eval.records.analysis import Provenance, Warned
from misalign_eval.records.suite import Sampling

FAR_APART = timedelta(days=1)
MOST_NAMES = 5


def refuse_definitions(before: Provenance, after: Provenance) -> None:
    """Raise UsageError unless both runs are counted alike."""
    found = list(alike.differences("compare", alike.of_provenance(before), alike.of_provenance(after)))
    if any(one.field in {"definition", "counting"} for one in alike.refusals(found)):
        names = f"`{before.definition}` ({before.run}) and `{after.definition}` ({after.run})"
        raise UsageError(f"the runs count differently: {names}. Choose one for both with --definition NAME")


def nothing_shared(before: Provenance, after: Provenance) -> str:
    """Why two runs without a common prompt cannot be compared."""
    suites = f"{before.run} asked {_suite(before)}, {after.run} asked {_suite(after)}"
    return f"the runs share no prompt: {suites}. Compare runs of the same suite"


def of_runs(before: Provenance, after: Provenance, paired: Paired) -> Iterator[Warned]:
    """Everything that differs and is known."""
    for field in alike.TABLE:
        if alike.answer("compare", field) == alike.TOLD:
            yield from _TELLERS[field](before, after, paired)
    same = (before.target, before.target_name) == (after.target, after.target_name)
    if same and before.host == after.host and before.labels == after.labels:
        yield Warned(id="same-target", text=f"both runs asked the same target: {after.target}")


def _suites(before: Provenance, after: Provenance, _: Paired) -> Iterator[Warned]:
    if before.suite_digest != after.suite_digest:
        text = f"the suites differ: {_suite(before)} before, {_suite(after)} after; only shared prompts are compared"
        yield Warned(id="suite-differs", text=text)


def _set(field: str, before: Provenance, after: Provenance, _: Paired) -> Iterator[Warned]:
    """Another model may need other options, so that the reader decides what they mean."""
    names = f"{before.run} and {after.run}"
    for one in alike.differences("compare", *(alike.of_provenance(source) for source in (before, after))):
        if one.field == field and one.known:
            text = f"{names} differ in their {one.words} (the values are not shown)"
            yield Warned(id="runs-differ", text=f"{text}: the change may be theirs")
        elif one.field == field:
            yield alike.unknown(names, one)


def _suite(source: Provenance) -> str:
    return f"{source.suite} {source.suite_version} ({source.suite_digest[:8]})"


def _judges(before: Provenance, after: Provenance, _: Paired) -> Iterator[Warned]:
    for grader in sorted(before.graders.keys() & after.graders.keys()):
        one, other = before.graders[grader], after.graders[grader]
        if one != other:
            text = f"grader {grader} is another one after ({grader}@{other}) than before ({grader}@{one})"
            fix = "the difference mixes judge and model: `regrade` with one judge, or choose with --use-judge"
            yield Warned(id="judge-differs", text=f"{text}; {fix}")
    if before.judge != after.judge:
        text = f"the judges differ: {before.judge or 'none'} before, {after.judge or 'none'} after"
        yield Warned(id="judge-differs", text=text)


def _unpaired(_: Provenance, __: Provenance, paired: Paired) -> Iterator[Warned]:
    for side, cells in (("before", paired.only_before), ("after", paired.only_after)):
        if cells:
            text = f"{len(cells)} prompts were asked only in the run {side} and are left out: {_probes(cells)}"
            yield Warned(id="unpaired", text=text)


def _by_name(_: Provenance, __: Provenance, paired: Paired) -> Iterator[Warned]:
    unknown = sum(not cell.prompt.messages for cell in paired.after)
    if unknown:
        text = f"{unknown} of {len(paired.after)} shared prompts are paired by the id of their probe"
        yield Warned(
            id="paired-by-id", text=f"{text}: their words are not known, so that nothing shows they are the same"
        )


def _probes(cells: Sequence[Cell]) -> str:
    names = list(dict.fromkeys(cell.prompt.probe for cell in cells))
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(names[:MOST_NAMES]) + more


def _sampling(_: Provenance, __: Provenance, paired: Paired) -> Iterator[Warned]:
    found: Counter[str] = Counter()
    for one, other in zip(paired.before, paired.after, strict=True):
        for name in Sampling.model_fields:
            a, b = getattr(one.prompt.sampling, name), getattr(other.prompt.sampling, name)
            if a != b:
                found[f"{name} {_setting(a)} before, {_setting(b)} after"] += 1
    for what, prompts in sorted(found.items()):
        text = f"sampling differs: {what} ({prompts} of {len(paired.after)} shared prompts)"
        yield Warned(id="sampling-differs", text=text)


def _setting(value: object) -> str:
    return "not set" if value is None else str(value)


def _dates(before: Provenance, after: Provenance, _: Paired) -> Iterator[Warned]:
    try:
        apart = abs(datetime.fromisoformat(after.created) - datetime.fromisoformat(before.created))
    except (ValueError, TypeError):  # a run of unknown date, or one without a time zone: nothing to say
        return
    if apart > FAR_APART:
        text = f"the runs were started {apart.days} days apart; a model behind an API may have changed by itself"
        yield Warned(id="dates-differ", text=f"{text}. `run --target A --target B` collects them interleaved")


# What says each field that the table has told; the order of the table is that of the warnings.
_TELLERS: dict[str, Callable[[Provenance, Provenance, Paired], Iterator[Warned]]] = {
    "moment": _dates,
    "content": _suites,
    "options": partial(_set, "options"),
    "headers": partial(_set, "headers"),
    "judges": _judges,
    "prompts": _unpaired,
    "asked": _by_name,
    "sampling": _sampling,
}
