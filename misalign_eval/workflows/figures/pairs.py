"""Two runs probe by probe, and replies to read."""

from collections.abc import Iterator, Mapping, Sequence

from misalign_eval.analysis import comparison
from misalign_eval.analysis.comparison import Side
from misalign_eval.analysis.tally import LETTERS, Cell
from misalign_eval.errors import UsageError
from misalign_eval.records.analysis import CategoryChange, Comparison, ProbeChange, Rated
from misalign_eval.records.definition import Definition
from misalign_eval.records.figures import ChangedLine, Changes, Replies
from misalign_eval.records.plan import ReplyKey
from misalign_eval.reports import estimand
from misalign_eval.workflows.counting import Counted
from misalign_eval.workflows.figures.reading import Asked, Taken, chosen, measured, named, read, take
from misalign_eval.workflows.show import Filter, show


def dumbbell(asked: Asked) -> Changes:
    """Two runs, the first before; by probe, or with --x by category."""
    by = chosen(asked, ("probe", "category"))
    given = read(asked)
    if len(given) != 2 or any(len(one.runs) != 1 for one in given):
        there = sum(len(one.runs) for one in given)
        raise UsageError(f"figure dumbbell needs two runs, BEFORE AFTER; here are {there}")
    before, after = (Side(one.runs[0].tally, one.runs[0].provenance) for one in given)
    interval = "suite" if asked.interval == "runs" else asked.interval
    made = comparison.compare(before, after, split=asked.choices.split, interval=interval)
    found = estimand.shown_change(made)
    about = measured(take(given, asked), asked).model_copy(update={"averaged": found.after.averaged})
    lines = _by_probe(found) if by == "probe" else _by_category(found)
    ordered = sorted(lines, key=lambda line: (line.difference is None, -(line.difference or 0.0), line.name))
    names = (given[0].name, given[1].name)
    return Changes(about=about, by=by, names=names, before=found.before, after=found.after, lines=tuple(ordered))


def _by_probe(found: Comparison) -> Iterator[ChangedLine]:
    before, after = ({line.id: line for line in side.probes} for side in (found.before, found.after))
    return (_line(line.id, line, before, after) for line in found.probes)


def _by_category(found: Comparison) -> Iterator[ChangedLine]:
    before, after = ({line.category: line for line in side.categories} for side in (found.before, found.after))
    return (_line(line.category, line, before, after) for line in found.categories)


def _line(
    name: str, line: ProbeChange | CategoryChange, before: Mapping[str, Rated], after: Mapping[str, Rated]
) -> ChangedLine:
    counts = set(Rated.model_fields)
    return ChangedLine(
        name=name,
        before=Rated(**before[name].model_dump(include=counts)),
        after=Rated(**after[name].model_dump(include=counts)),
        difference=line.difference,
        low=line.low,
        high=line.high,
        p_value=line.p_value,
        p_adjusted=line.p_adjusted,
        bonferroni=line.bonferroni,
    )


def examples(asked: Asked) -> Replies:
    """Replies chosen by key, else of each probe the first that counts in the rate, one probe after another."""
    taken = take(read(asked), asked)
    found, labels = [], []
    for label, run, cells in _runs(taken):
        keys = asked.keys or tuple(_first_keys(cells, taken.definition))[: asked.limit]
        if keys:
            found.append(show(run.folder.path, Filter(keys=keys), asked.choices))
            labels.append(label)
    if not found:
        raise UsageError("figure examples: no reply counts in the rate of these runs. Choose some with --key")
    how = "chosen by hand" if asked.keys else "of each probe the first reply that counts in the rate"
    return Replies(about=measured(taken, asked), chosen=how, labels=tuple(labels), runs=tuple(found))


def _runs(taken: Taken) -> Iterator[tuple[str, Counted, Sequence[Cell]]]:
    cells = iter(taken.shared.own)
    for one in taken.series:
        for run in one.runs:
            yield named(one, run), run, next(cells)


def _first_keys(cells: Sequence[Cell], definition: Definition) -> Iterator[str]:
    letters = {LETTERS[name] for name in definition.numerator}
    done: set[str] = set()
    for cell in cells:
        one = cell.prompt
        sample = next((place for place, letter in enumerate(cell.in_order) if letter in letters), None)
        if one.probe not in done and sample is not None:
            done.add(one.probe)
            yield str(ReplyKey(one.probe, one.prompt, one.variant, sample))
