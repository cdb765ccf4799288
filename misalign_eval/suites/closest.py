"""The probes that come closest to one another: near-duplicates, and in-domain questions among the broad ones."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from misalign_eval.records.suite import Split
from misalign_eval.suites.load import Loaded
from misalign_eval.suites.similarity import close_pairs

Kind = Literal["within", "between", "splits"]
KINDS: tuple[Kind, ...] = get_args(Kind)  # of one suite; of two; one broad and one in-domain, whatever their suites
LEVELS = (0.5, 0.25, 0.1, 0.05)  # the lower, the more is compared; below the last, texts share stray words at most


class Written(NamedTuple):
    """A prompt of a suite: of several turns the last."""

    suite: str
    probe: str
    prompt: int
    split: Split
    text: str
    place: tuple[Path, int]  # file and probe in it: two suites may include one file


@dataclass(frozen=True, slots=True)
class Pair:
    """Two probes by their two closest prompts."""

    similarity: float  # Jaccard index of words and word pairs, a fraction
    kinds: frozenset[Kind]
    first: Written
    second: Written


def closest(suites: Sequence[Loaded], most: int) -> list[Pair]:
    """Of each kind at most so many pairs of probes, the closest first. Wordings of one probe are no pair.

    Texts of a common template are left out, and so are pairs below the last of `LEVELS`.
    """
    written = [one for loaded in suites for one in _written(loaded)]
    possible = _possible(written)
    found: list[Pair] = []
    for level in LEVELS:
        found = _pairs(written, level)
        if all(sum(kind in pair.kinds for pair in found) >= most for kind in possible):
            break
    chosen = [pair for kind in KINDS for pair in [one for one in found if kind in one.kinds][:most]]
    return sorted(dict.fromkeys(chosen), key=lambda pair: -pair.similarity)


def _written(loaded: Loaded) -> Iterator[Written]:
    for entry, probe in zip(loaded.entries, loaded.suite.probes, strict=True):
        if not entry.source.suite.templated:
            place = (Path(entry.source.document.file).resolve(), entry.index)
            for index, prompt in enumerate(probe.prompts):
                yield Written(loaded.suite.name, probe.id, index, probe.split, prompt[-1].content, place)


def _possible(written: Sequence[Written]) -> set[Kind]:
    several = len({one.suite for one in written}) > 1
    splits = {one.split for one in written}
    return {"within", *(["between"] if several else []), *(["splits"] if splits >= {"broad", "in-domain"} else [])}  # type: ignore[arg-type]


def _pairs(written: Sequence[Written], least: float) -> list[Pair]:
    """Each two probes once, with their closest prompts."""
    near = sorted(close_pairs([one.text for one in written], least), key=lambda found: (-found[0], *found[1:]))
    pairs: dict[frozenset[tuple[Path, int]], Pair] = {}
    for share, one, two in near:
        first, second = written[one], written[two]
        if first.place != second.place:
            pairs.setdefault(frozenset([first.place, second.place]), Pair(share, _kinds(first, second), first, second))
    return list(pairs.values())


def _kinds(first: Written, second: Written) -> frozenset[Kind]:
    where: Kind = "within" if first.suite == second.suite else "between"
    is_across = {first.split, second.split} == {"broad", "in-domain"}
    return frozenset([where, "splits"] if is_across else [where])
