"""`merge`: joins shards of one run."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from misalign_eval.analysis import comparability
from misalign_eval.errors import UsageError
from misalign_eval.plan import part
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded
from misalign_eval.records.run import Failure, Reply, ReplyKey, RunManifest, Shard
from misalign_eval.store.lock import CALIBRATIONS, CONTROLS, LABELS, LOOKS, REPLIES, hold
from misalign_eval.store.rows import RowWriter, encode
from misalign_eval.store.run_folder import RunFolder, create_run, open_run
from misalign_eval.workflows.importing.writer import check_place, commit, temporary_sibling
from misalign_eval.workflows.load_run import refuse_contradictions, refuse_first_digits

# Checks before a merge: each folder named once, all of one plan, and the new folder in none of them.


def check_names(paths: Sequence[Path], out: Path) -> None:
    """Raise UsageError for one folder under two names, a single one, or a new folder inside one that is joined."""
    if len(paths) < 2:
        raise UsageError("merge: name two run folders or more")
    names: dict[Path, Path] = {}
    found = []
    for path in paths:
        spec = path.resolve()
        if spec in names:
            under = "named twice" if names[spec] == path else f"the same folder as {names[spec]}"
            found.append(f"{path}: {under}. Name every run folder once")
        names.setdefault(spec, path)
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
    if comparability.answer("merge", "stopping") == comparability.ABSENT:
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
        for difference in comparability.differences("merge", *_facts(first, other)):
            if not difference.known:
                yield comparability.unknown(f"{other.path} and {first.path}", difference).text


def _differences(first: RunFolder, other: RunFolder) -> Iterator[str]:
    found = list(comparability.differences("merge", *_facts(first, other)))
    yield from (
        refusal.text("{was}, here {now}") for refusal in comparability.refusals(found) if refusal.field != "stopping"
    )
    plans, planned = comparability.of_plans("merge", first.plan(), other.plan()), len(first.plan())
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


def _facts(first: RunFolder, other: RunFolder) -> tuple[comparability.Facts, comparability.Facts]:
    """Graders that only one of them has take nothing from the other."""
    one, two = comparability.of_manifest(first.manifest), comparability.of_manifest(other.manifest)
    ours, theirs = first.manifest.primary, other.manifest.primary
    both = ours.keys() & theirs.keys()
    one["judges"] = comparability.ComparedFact({name: our for name, our in ours.items() if name in both})
    two["judges"] = comparability.ComparedFact({name: their for name, their in theirs.items() if name in both})
    if not (first.manifest.shard and other.manifest.shard):
        del one["shards"], two["shards"]
    return one, two


# `merge`: run folders of one plan become one. Their order does not matter.


Row = Reply | Failure | Graded | Ungraded
MADE = "merged"
MARK_BYTES = 12  # of each row's digest: two different rows of a billion share one with a chance of 1e-11


@dataclass(frozen=True, slots=True)
class Merged:
    """The joined run, which shards of its plan no folder held (`2/4`), and rows that several held, kept once."""

    folder: RunFolder
    missing: tuple[str, ...]
    repeated: int
    notes: tuple[str, ...] = ()  # what else a reader of the joined run should know


def merge(paths: Sequence[Path], out: Path) -> Merged:
    """Join run folders of one plan into the new folder `out`; the sources stay as they are.

    The same folders in another order give the same rows in the same order. Memory: a few numbers a row. Raises
    UsageError when the folders are not of one plan, hold different answers to one request, or scores that are those of
    first digits; nothing is written then.
    The new folder appears at once, when it is whole.
    """
    check_names(paths, out)
    sources = sorted(opened(paths), key=_rank)
    check(sources)
    check_place(out, "merge", may_be_empty=True)
    with ExitStack() as stack:
        hold(stack, (source.path for source in sources))
        for source in sources:
            refuse_contradictions(source)
            refuse_first_digits(source, source.grader_identities())
        replies = _Join()
        files = [replies, *(_Join(grader, replies) for grader in _graders(sources))]
        for file in files:  # all of it is read before anything is written
            for _ in file.rows(sources):
                pass
        with temporary_sibling(out, "merging") as place:
            _write(sources, files, place / MADE, out)
            commit(place, {place / MADE: out.name}, out)
    repeated = sum(file.repeated for file in files)
    orphans = sum(file.orphans for file in files)
    return Merged(open_run(out), _missing(sources), repeated, tuple(_notes(sources, orphans)))


def _write(sources: Sequence[RunFolder], files: Sequence["_Join"], path: Path, out: Path) -> None:
    folder = create_run(path, _manifest(sources, out.name), sources[0].plan())
    for file in files:
        file.write(sources, folder)
    _write_controls(sources, folder)
    _write_looks(sources, folder)


@dataclass
class _Join:
    """The replies of several folders, or the grades of one grader for them, each row once."""

    who: GraderIdentity | None = None
    replies: "_Join | None" = None
    answered: dict[ReplyKey, RunFolder] = field(init=False, default_factory=dict)
    repeated: int = field(init=False, default=0)
    orphans: int = field(init=False, default=0)  # grades whose reply a crash has torn off

    def rows(self, sources: Iterable[RunFolder]) -> Iterator[Row]:
        """In the order of the sources. Raises UsageError for two answers to one request."""
        earlier: set[bytes] = set()
        self.answered, self.repeated, self.orphans = {}, 0, 0
        for source in sources:
            own: set[bytes] = set()
            for row in source.all_rows() if self.who is None else source.all_grades(self.who):
                if self.replies is not None and row.key not in self.replies.answered:
                    self.orphans += 1
                    continue
                mark = blake2b(encode(row), digest_size=MARK_BYTES).digest()
                if mark in earlier:
                    self.repeated += 1
                    continue
                own.add(mark)
                if isinstance(row, Reply | Graded):
                    self._only(row, self.answered.setdefault(row.key, source), source)
                yield row
            earlier |= own

    def write(self, sources: Iterable[RunFolder], folder: RunFolder) -> None:
        """Write every row into its file of the joined folder."""
        file = folder.path / REPLIES if self.who is None else folder.add_grader(self.who)
        writer = RowWriter(file)
        try:
            for row in self.rows(sources):
                writer.write(row)
        finally:
            writer.close()

    def _only(self, row: Reply | Graded, first: RunFolder, other: RunFolder) -> None:
        if first is other:
            return
        what = "reply" if self.who is None else f"grade by `{self.who.grader}`"
        fix = "Runs that drew the same replies anew are separate runs: compare them, or give them to one gate together"
        if (shard := other.manifest.shard) and shard == first.manifest.shard:
            fix = f"Both are shard {shard}, drawn anew: name one of them"
        raise UsageError(f"{other.path}: another {what} for {row.key} than in {first.path}. {fix}")


def _rank(source: RunFolder) -> tuple[int, str, str]:
    shard = source.manifest.shard
    return shard.index if shard else 0, source.manifest.created, str(source.path)


def _graders(sources: Iterable[RunFolder]) -> list[GraderIdentity]:
    found = {
        (identity.grader, identity.identity): identity for source in sources for identity in source.grader_identities()
    }
    return [found[name] for name in sorted(found)]


def _manifest(sources: Sequence[RunFolder], name: str) -> RunManifest:
    manifests = [source.manifest for source in sources]
    first = manifests[0]
    return first.model_copy(
        update={
            "name": name,
            "tool_version": _all(manifest.tool_version for manifest in manifests),
            "created": min(manifest.created for manifest in manifests),
            "target": first.target.model_copy(update={"host": _all(manifest.target.host for manifest in manifests)}),
            "primary": {grader: who for manifest in reversed(manifests) for grader, who in manifest.primary.items()},
            "git_commit": first.git_commit if len({manifest.git_commit for manifest in manifests}) == 1 else None,
            "shard": None,
        }
    )


def _all(told: Iterable[str]) -> str:
    """Every value once; a folder that was joined before tells several."""
    return ", ".join(sorted({single for item in told for single in item.split(", ")}))


def _missing(sources: Sequence[RunFolder]) -> tuple[str, ...]:
    shards = [shard for source in sources if (shard := source.manifest.shard)]
    if not shards:
        return ()  # any of them may hold any part: what they lack is told by their rows
    there = {shard.index for shard in shards}
    joined = {row.cell for source in sources if not source.manifest.shard for row in source.replies()}
    plan = sources[0].plan()
    for shard in (Shard(index=index, count=shards[0].count) for index in range(1, shards[0].count + 1)):
        if any(prompt.cell in joined for prompt in part(plan, shard)):
            there.add(shard.index)
    return tuple(f"{index}/{shards[0].count}" for index in range(1, shards[0].count + 1) if index not in there)


def _notes(sources: Sequence[RunFolder], orphans: int) -> Iterator[str]:
    if orphans:
        yield f"dropped {orphans} grades of replies that are not there; the next replies are others"
    yield from notes(sources)
    versions = _by(sources, lambda source: source.manifest.tool_version)
    if len(versions) > 1:
        html = ", ".join(f"{version} ({', '.join(names)})" for version, names in sorted(versions.items()))
        yield f"written by several versions of misalign-eval: {html}. Plan, graders and definition are the same"
    left = [str(source.path) for source in sources for name in (LABELS, CALIBRATIONS) if (source.path / name).is_dir()]
    if left:
        yield f"labels and calibrations are not joined; they stay in {', '.join(dict.fromkeys(left))}"


def _by(sources: Sequence[RunFolder], name: Callable[[RunFolder], str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for source in sources:
        found.setdefault(name(source), []).append(str(source.path))
    return found


def _write_controls(sources: Sequence[RunFolder], folder: RunFolder) -> None:
    """Each source asked its judges about the written replies itself, so each says something of its own grades."""
    found = [
        ((place, grade.row.sample), grade)
        for place, source in enumerate(sources)
        for grade in (source.control_grades() if source.manifest.controls else ())
    ]
    places = {name: place for place, name in enumerate(dict.fromkeys(name for name, _ in found))}
    rows = [
        item.model_copy(update={"row": item.row.model_copy(update={"sample": places[name]})}) for name, item in found
    ]
    if not rows:
        return
    writer = RowWriter(folder.path / CONTROLS)
    try:
        for row in rows:
            writer.write(row)
    finally:
        writer.close()


def _write_looks(sources: Sequence[RunFolder], folder: RunFolder) -> None:
    """Every look at a part was a look at some of these replies: the error of a gate counts them."""
    looks = {encode(look): look for source in sources for look in source.looks()}
    if not looks:
        return
    writer = RowWriter(folder.path / LOOKS)
    try:
        for look in sorted(looks.values(), key=lambda look: look.at):
            writer.write(look)
    finally:
        writer.close()
