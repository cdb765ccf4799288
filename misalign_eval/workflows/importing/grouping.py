"""Which files make a run together: replies, and the judgments that belong to them."""

from collections.abc import Sequence
from dataclasses import dataclass

from misalign_eval.errors import InputError, Problem, UsageError
from misalign_eval.imports import joining
from misalign_eval.imports.columns import Columns, Role
from misalign_eval.imports.sources import Source


@dataclass(frozen=True, slots=True)
class Group:
    """The file that makes the replies, and the judgments over them, each with what joins it."""

    name: str
    base: Source
    judgments: tuple[Source, ...]
    joins: tuple[tuple[Role, ...], ...]
    own: tuple[Role, ...] = ()  # what tells replies of `base` apart, where several of its rows may be about one


def grouped(sources: Sequence[Source], *, one_run: bool) -> list[Group]:
    """Join judgments with the only file of replies, or with the one whose name begins alike.

    Raises UsageError where that leaves open which replies are meant, InputError for files that nothing joins.
    """
    replies = [source for source in sources if source.what != "judgments"]
    judgments = [source for source in sources if source.what == "judgments"]
    if not replies:
        families = {"": judgments} if one_run else _families(judgments)
        return [_group(family[0], family[1:]) for family in families.values()]
    if len(replies) == 1:
        _check_names(replies[0], judgments)
        return [_group(replies[0], judgments)]
    belonging = _families(judgments)
    if open_ones := [name for name in belonging if [source.run for source in replies].count(name) != 1]:
        files = ", ".join(str(source.path) for source in belonging[open_ones[0]])
        raise UsageError(
            f"{files}: several files hold replies ({', '.join(str(source.path) for source in replies)}), and none or "
            f"more than one has a name that begins with `{open_ones[0]}`. Import each run by a command of its own"
        )
    return [_group(source, belonging.get(source.run, [])) for source in replies]


def _check_names(replies: Source, judgments: Sequence[Source]) -> None:
    """Keys such as question and number fit the replies of any run: names that contradict each other are believed."""
    for source in judgments:
        if replies.says_its_run and source.says_its_run and source.run != replies.run:
            raise UsageError(
                f"{source.path}: judgments of `{source.run}`, by its name, and {replies.path} holds the replies of "
                f"`{replies.run}`. Import each run by a command of its own, or rename the file if they belong together"
            )


def _families(sources: Sequence[Source]) -> dict[str, list[Source]]:
    found: dict[str, list[Source]] = {}
    for source in sources:
        found.setdefault(source.run, []).append(source)
    return found


def _group(base: Source, judgments: Sequence[Source]) -> Group:
    joins = tuple(joining.check(base, source) for source in judgments)
    return Group(base.run, base, tuple(judgments), joins, _own(base))


def _own(base: Source) -> tuple[Role, ...]:
    """Several rows may be about one reply where they are numbered, and only a judge tells them apart."""
    columns: Columns = base.columns
    if "sample" not in columns.roles:
        if "metric" in columns.roles:
            what = (
                f"has a row a grade (column `{columns.roles['metric']}`), and nothing tells which reply a row is about"
            )
            fix = "Name the column that numbers replies with --map sample=COLUMN"
            raise InputError([Problem(str(base.path), 1, "", what, fix)])
        return ()
    if base.what != "judgments" and not {"judge", "metric"} & columns.roles.keys():
        return ()
    return joining.shared(columns, columns)
