"""Whether run folders may be joined: each named once, all of one plan, and the new folder in none of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from misalign_eval.analysis import alike
from misalign_eval.errors import UsageError
from misalign_eval.results.folder import RunFolder, open_run


def check_names(paths: Sequence[Path], out: Path) -> None:
    """Raise UsageError for one folder under two names, a single one, or a new folder inside one that is joined."""
    if len(paths) < 2:
        raise UsageError("merge: name two run folders or more")
    names: dict[Path, Path] = {}
    found = []
    for path in paths:
        place = path.resolve()
        if place in names:
            under = "named twice" if names[place] == path else f"the same folder as {names[place]}"
            found.append(f"{path}: {under}. Name every run folder once")
        names.setdefault(place, path)
    above = out.resolve().parents
    inside = [path for place, path in names.items() if place in above]
    found += [f"{out}: inside {path}, which stays as it is. Choose another --out" for path in inside]
    if found:
        raise UsageError("\n".join(found))


def opened(paths: Sequence[Path]) -> list[RunFolder]:
    """Open the folders. Raises UsageError with everything that is wrong with any of them."""
    folders, wrong = [], []
    for path in paths:
        try:
            folders.append(open_run(path))
        except UsageError as error:
            wrong.append(str(error))
    if wrong:
        raise UsageError("\n".join(wrong))
    return folders


def check(sources: Sequence[RunFolder]) -> None:
    """Raise UsageError with every difference between the plans, and every run that chose for itself when to stop."""
    first = sources[0]
    found = [
        f"{other.path}: not of the plan of {first.path}: it differs in {'; '.join(differences)}"
        for other in sources[1:]
        if (differences := list(_differences(first, other)))
    ]
    if alike.answer("merge", "stopping") == alike.ABSENT:
        found += [
            f"{source.path}: was collected with --stop-when-decided; joining it would change when it stopped"
            for source in sources
            if source.manifest.stopping
        ]
    if found:
        raise UsageError("\n".join(found))


def notes(sources: Sequence[RunFolder]) -> Iterator[str]:
    """What could not be compared, as a run.json does not say it."""
    first = sources[0]
    for other in sources[1:]:
        for one in alike.differences("merge", *_facts(first, other)):
            if not one.known:
                yield alike.unknown(f"{other.path} and {first.path}", one).text


def _differences(first: RunFolder, other: RunFolder) -> Iterator[str]:
    found = list(alike.differences("merge", *_facts(first, other)))
    yield from (one.text("{was}, here {now}") for one in alike.refusals(found) if one.field != "stopping")
    plans, planned = alike.of_plans("merge", first.plan(), other.plan()), len(first.plan())
    if plans is None:
        return
    if plans.fields == ("prompts",):
        count = f"{planned}, here {len(other.plan())}"
        yield f"the prompts planned ({count}: {plans.first} is planned in one of them only)"
    elif plans.fields == ("order",):
        if first.manifest.seed == other.manifest.seed:  # another seed has another order; that needs no words of its own
            yield "the order of the prompts planned"
    else:
        yield f"what is planned: {', '.join(plans.names)} of {plans.prompts} of {planned} prompts, as {plans.first}"


def _facts(first: RunFolder, other: RunFolder) -> tuple[alike.Facts, alike.Facts]:
    """Graders that only one of them has take nothing from the other."""
    one, two = alike.of_manifest(first.manifest), alike.of_manifest(other.manifest)
    ours, theirs = first.manifest.primary, other.manifest.primary
    both = ours.keys() & theirs.keys()
    one["judges"] = alike.Fact({name: who for name, who in ours.items() if name in both})
    two["judges"] = alike.Fact({name: who for name, who in theirs.items() if name in both})
    if not (first.manifest.shard and other.manifest.shard):
        del one["shards"], two["shards"]
    return one, two
