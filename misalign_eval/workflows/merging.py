"""`merge`: run folders of one plan become one, whatever their order."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

from misalign_eval.errors import UsageError
from misalign_eval.records.grade import Graded, GraderIdentity, Ungraded
from misalign_eval.records.plan import ReplyKey
from misalign_eval.records.reply import Failure, Reply
from misalign_eval.records.run import RunManifest
from misalign_eval.results.folder import RunFolder, create_run, open_run
from misalign_eval.results.layout import LOOKS, REPLIES
from misalign_eval.results.lock import writing
from misalign_eval.results.rows import RowWriter, encode
from misalign_eval.workflows.importing.folders import beside, settle
from misalign_eval.workflows.resume import check_place

Row = Reply | Failure | Graded | Ungraded
MADE = "merged"
MARK_BYTES = 12  # of each row's digest: two different rows of a billion share one with a chance of 1e-11


@dataclass(frozen=True, slots=True)
class Merged:
    """The joined run, which shards of its plan no folder held (`2/4`), and rows that several held, kept once."""

    folder: RunFolder
    missing: tuple[str, ...]
    repeated: int


def merge(paths: Sequence[Path], out: Path) -> Merged:
    """Join run folders of one plan into the new folder `out`; the sources stay as they are.

    The same folders in another order give the same rows in the same order. Memory: a few numbers a row. Raises
    UsageError when the folders are not of one plan, or hold different answers to one request; nothing is written then.
    The new folder appears at once, when it is whole.
    """
    sources = sorted((open_run(path) for path in paths), key=_rank)
    _check(sources)
    check_place(out, resume=False)
    with ExitStack() as stack:
        for path in dict.fromkeys(source.path.resolve() for source in sources):
            stack.enter_context(writing(path))
        files = [_Join(), *(_Join(who) for who in _graders(sources))]
        for file in files:  # all of it is read before anything is written
            for _ in file.rows(sources):
                pass
        with beside(out, "merging") as place:
            _write(sources, files, place / MADE, out)
            settle(place, {place / MADE: out.name}, out)
    return Merged(open_run(out), _missing(sources), sum(file.repeated for file in files))


def _write(sources: Sequence[RunFolder], files: Sequence["_Join"], path: Path, out: Path) -> None:
    folder = create_run(path, _manifest(sources, out.name), sources[0].plan())
    for file in files:
        file.write(sources, folder)
    _write_looks(sources, folder)


@dataclass
class _Join:
    """The replies of several folders, or the grades of one grader, each row once."""

    who: GraderIdentity | None = None
    repeated: int = field(init=False, default=0)

    def rows(self, sources: Iterable[RunFolder]) -> Iterator[Row]:
        """In the order of the sources. Raises UsageError for two answers to one request."""
        seen: set[bytes] = set()
        answered: dict[ReplyKey, Path] = {}
        self.repeated = 0
        for source in sources:
            for row in source.all_rows() if self.who is None else source.all_grades(self.who):
                mark = blake2b(encode(row), digest_size=MARK_BYTES).digest()
                if mark in seen:
                    self.repeated += 1
                    continue
                seen.add(mark)
                if isinstance(row, Reply | Graded):
                    self._only(row, answered.setdefault(row.key, source.path), source.path)
                yield row

    def write(self, sources: Iterable[RunFolder], folder: RunFolder) -> None:
        """Write every row into its file of the joined folder."""
        file = folder.path / REPLIES if self.who is None else folder.add_grader(self.who)
        writer = RowWriter(file)
        try:
            for row in self.rows(sources):
                writer.write(row)
        finally:
            writer.close()

    def _only(self, row: Reply | Graded, first: Path, path: Path) -> None:
        if first != path:
            what = "reply" if self.who is None else f"grade by `{self.who.grader}`"
            raise UsageError(
                f"{path}: another {what} for {row.key} than in {first}. Runs that drew the same replies anew are "
                "separate runs: compare them, or give them to one gate together"
            )


def _rank(source: RunFolder) -> tuple[int, str, str]:
    shard = source.manifest.shard
    return shard.index if shard else 0, source.manifest.created, str(source.path)


def _check(sources: Sequence[RunFolder]) -> None:
    if len(sources) < 2:
        raise UsageError("merge: name two run folders or more")
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
        ("number of shards", one.shard and one.shard.count, two.shard and two.shard.count),
        *((f"label {name}", one.labels[name], two.labels.get(name)) for name in one.labels),
        *((f"judge of `{name}`", who, two.primary.get(name, who)) for name, who in one.primary.items()),
    ):
        if was != now:
            yield f"{what} ({was}, here {now})"
    if one.suite_digest != two.suite_digest and one.suite_version == two.suite_version:
        yield "the suite's content"
    if one.definition_digest != two.definition_digest and one.definition.name == two.definition.name:
        yield "the definition's content"
    if first.plan() != other.plan():
        yield f"the planned prompts, samples or sampling ({one.planned_replies} replies, here {two.planned_replies})"


def _graders(sources: Iterable[RunFolder]) -> list[GraderIdentity]:
    found = {(who.grader, who.identity): who for source in sources for who in source.grader_identities()}
    return [found[name] for name in sorted(found)]


def _manifest(sources: Sequence[RunFolder], name: str) -> RunManifest:
    manifests = [source.manifest for source in sources]
    first = manifests[0]
    hosts = sorted({one.target.host for one in manifests})
    return first.model_copy(
        update={
            "name": name,
            "created": min(one.created for one in manifests),
            "target": first.target.model_copy(update={"host": ", ".join(hosts)}),
            "primary": {grader: who for one in reversed(manifests) for grader, who in one.primary.items()},
            "git_commit": first.git_commit if len({one.git_commit for one in manifests}) == 1 else None,
            "shard": None,
        }
    )


def _missing(sources: Sequence[RunFolder]) -> tuple[str, ...]:
    shards = [source.manifest.shard for source in sources]
    there = {shard.index for shard in shards if shard}
    count = max((shard.count for shard in shards if shard), default=0)
    # A folder that was no shard may hold any part: what it lacks is told by its rows.
    return tuple(f"{index}/{count}" for index in range(1, count + 1) if index not in there) if all(shards) else ()


def _write_looks(sources: Sequence[RunFolder], folder: RunFolder) -> None:
    """Every look at a part was a look at some of these replies: the error of a gate counts them."""
    looks = {encode(look): look for source in sources for look in source.looks()}
    if not looks:
        return
    writer = RowWriter(folder.path / LOOKS)
    try:
        for look in sorted(looks.values(), key=lambda one: one.at):
            writer.write(look)
    finally:
        writer.close()
