"""Whether run folders may be joined: each named once, all of one plan, and the new folder in none of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from misalign_eval.errors import UsageError
from misalign_eval.records.plan import PlannedPrompt
from misalign_eval.results.folder import RunFolder, open_run

Cell = tuple[str, int, str]


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
    found += [
        f"{source.path}: was collected with --stop-when-decided; joining it with others would change when it stopped"
        for source in sources
        if source.manifest.stopping
    ]
    if found:
        raise UsageError("\n".join(found))


def _differences(first: RunFolder, other: RunFolder) -> Iterator[str]:
    one, two = first.manifest, other.manifest
    for what, was, now in (
        ("suite", f"{one.suite} {one.suite_version}", f"{two.suite} {two.suite_version}"),
        ("target", one.target.name, two.target.name),
        ("target options", one.target.options, two.target.options),
        ("definition", one.definition.name, two.definition.name),
        ("seed", one.seed, two.seed),
        *((f"label {name}", one.labels.get(name), two.labels.get(name)) for name in {**one.labels, **two.labels}),
        *((f"judge of `{name}`", who, two.primary.get(name, who)) for name, who in one.primary.items()),
    ):
        if was != now:
            yield f"{what} ({_told(was)}, here {_told(now)})"
    if one.shard and two.shard and one.shard.count != two.shard.count:
        yield f"number of shards ({one.shard.count}, here {two.shard.count})"
    if one.suite_digest != two.suite_digest and one.suite_version == two.suite_version:
        yield "the suite's content"
    if one.definition_digest != two.definition_digest and one.definition.name == two.definition.name:
        yield "the definition's content"
    yield from _plan_differences(first.plan(), other.plan(), is_same_seed=one.seed == two.seed)


def _told(value: object) -> object:
    return "none" if value is None else value


def _plan_differences(
    one: Sequence[PlannedPrompt], two: Sequence[PlannedPrompt], *, is_same_seed: bool
) -> Iterator[str]:
    """Another seed has another order; that needs no words of its own."""
    ours, theirs = ({_cell(prompt): prompt for prompt in plan} for plan in (one, two))
    if only := sorted(ours.keys() ^ theirs.keys()):
        yield f"the prompts planned ({len(one)}, here {len(two)}: {_named(only[0])} is planned in one of them only)"
        return
    changed = [cell for cell in ours if ours[cell] != theirs[cell]]
    if changed:
        fields = [
            name
            for name in PlannedPrompt.model_fields
            if any(getattr(ours[cell], name) != getattr(theirs[cell], name) for cell in changed)
        ]
        yield f"what is planned: {', '.join(fields)} of {len(changed)} of {len(one)} prompts, as {_named(changed[0])}"
    elif is_same_seed and tuple(one) != tuple(two):
        yield "the order of the prompts planned"


def _cell(prompt: PlannedPrompt) -> Cell:
    return prompt.probe, prompt.prompt, prompt.variant


def _named(cell: Cell) -> str:
    return "/".join(map(str, cell))
