"""Warnings about suites: settings that are allowed and rarely meant, and near-duplicates."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from misalign_eval.errors import Problem
from misalign_eval.records.suite import Split
from misalign_eval.suites import sources as suite_sources
from misalign_eval.suites.checks import place_of
from misalign_eval.suites.load import Loaded
from misalign_eval.suites.sources import SuiteEntry, SuiteSource

# Similarity of texts, by their words.


NEAR = 0.5
_WORD = re.compile(r"\w+")


def shingles(text: str) -> frozenset[str]:
    """The words of a text and its pairs of neighbouring words; case and punctuation do not count.

    >>> sorted(shingles("Hi, hi you!"))
    ['hi', 'hi hi', 'hi you', 'you']
    """
    words = _WORD.findall(text.casefold())
    return frozenset([*words, *(f"{first} {second}" for first, second in pairwise(words))])


def similarity(first: str, second: str) -> float:
    """Jaccard index of the shingles, a fraction: 1 for the same words in the same order, 0 for no word in common."""
    return _jaccard(shingles(first), shingles(second))


def close_pairs(texts: Sequence[str], least: float = NEAR) -> Iterator[tuple[float, int, int]]:
    """Every pair of indices whose similarity is at least `least` (0-1, above 0), with that similarity.

    Two sets with Jaccard index t share a shingle among the rarest |x| - ceil(t|x|) + 1 of each (prefix filter of
    Chaudhuri, Ganti & Kaushik 2006), so only texts that share such a rare shingle are compared.
    """
    sets = [shingles(text) for text in texts]
    counts = Counter(shingle for item in sets for shingle in item)
    holders: dict[str, list[int]] = defaultdict(list)
    for index, item in enumerate(sets):
        rare = sorted(item, key=lambda shingle: (counts[shingle], shingle))
        prefix = rare[: len(rare) - ceil(least * len(rare)) + 1]
        for other in sorted({other for shingle in prefix for other in holders[shingle]}):
            if (found := _jaccard(item, sets[other])) >= least:
                yield found, other, index
        for shingle in prefix:
            holders[shingle].append(index)


def _jaccard(first: frozenset[str], second: frozenset[str]) -> float:
    either = len(first | second)
    return len(first & second) / either if either else 0.0


# Warnings of `suites check`: settings that are allowed but rarely meant.


Loc = tuple[str | int, ...]
Place = tuple[SuiteSource, Loc, str]

LONGEST_PROMPT = 8_000  # characters; about 2,000 tokens
LONGEST_CRITERIA = 2_000
_PLACEHOLDER = re.compile(r"(?<![{$])\{\s*[A-Za-z_][A-Za-z0-9_]*\s*\}(?!\})|\{\{\s*[A-Za-z_][A-Za-z0-9_.]*\s*\}\}")


def lint(loaded: Loaded) -> list[Problem]:
    """Warnings by file and line."""
    texts = [place for entry in loaded.entries for place in _of_probe(entry)]
    texts += [place for source in loaded.sources for place in _of_file(source)]
    found = [problem for source, loc, text in texts for problem in _text(source, loc, text)]
    found += [*_unused_variants(loaded), *_idle_variants(loaded), *_near_duplicates(loaded)]
    return sorted(dict.fromkeys(found), key=lambda problem: (problem.file, problem.line or 0))


def _text(source: SuiteSource, loc: Loc, text: str) -> Iterator[Problem]:
    limit = LONGEST_CRITERIA if loc[-1] == "criteria" else LONGEST_PROMPT
    if len(text) > limit:
        yield source.document.problem(loc, f"{len(text):,} characters, more than {limit:,}", "Shorten it if you can.")
    if found := _PLACEHOLDER.search(text):
        what = f"`{found.group()}` is sent as it is: nothing fills in placeholders of a suite"
        yield source.document.problem(loc, what, "Write out what it stands for.")


def _of_probe(entry: SuiteEntry) -> Iterator[Place]:
    """Every text of a probe that a model reads."""
    probe = entry.probe
    for index, text in enumerate(probe.prompts or ()):
        yield entry.source, (*entry.loc, "prompts", index), text
    for index, turn in enumerate(probe.messages or ()):
        yield entry.source, (*entry.loc, "messages", index, "content"), turn.content
    for name, written in (("system", probe.system), ("criteria", probe.criteria)):
        if written is not None:
            yield entry.source, (*entry.loc, name), written


def _of_file(source: SuiteSource) -> Iterator[Place]:
    """The texts of a file's defaults and variants."""
    if source.suite.defaults.system is not None:
        yield source, ("defaults", "system"), source.suite.defaults.system
    for name, variant in source.suite.variants.items():
        for part, text in variant.model_dump(exclude={"expects"}, exclude_none=True).items():
            yield source, ("variants", name, part), text


def _unused_variants(loaded: Loaded) -> Iterator[Problem]:
    for source in loaded.sources:
        for name in source.suite.variants.keys() - loaded.suite.variants.keys():
            what = "no probe names this variant: it never reaches a request"
            yield source.document.problem(
                ("variants", name), what, "Name it under `variants` of a probe or of defaults."
            )
        for name in source.suite.judges.keys() - loaded.suite.rules.keys():
            what = "no probe names this judge: it is never asked"
            yield source.document.problem(("judges", name), what, "Name it under `graders` of a probe or of defaults.")


def _idle_variants(loaded: Loaded) -> Iterator[Problem]:
    """Variants that leave a probe's request as it is, so that the same thing would be asked twice."""
    for entry, probe in zip(loaded.entries, loaded.suite.probes, strict=True):
        plain = (probe.system, probe.prompts[0])
        for index, name in enumerate(suite_sources.variants(entry)):
            if loaded.suite.variants[name].apply(*plain) == plain:
                what = f"variant `{name}` does not change what probe `{probe.id}` sends"
                yield entry.source.document.problem(place_of(entry, "variants", index), what, "Take it away.")


def _near_duplicates(loaded: Loaded) -> Iterator[Problem]:
    """Of every two probes, and within each, the closest pair of prompts if it is too close."""
    written = [
        (entry, index, prompt[-1].content)
        for entry, probe in zip(loaded.entries, loaded.suite.probes, strict=True)
        if not entry.source.suite.templated
        for index, prompt in enumerate(probe.prompts)
    ]
    told: set[tuple[str, str]] = set()
    for share, first, second in sorted(close_pairs([text for _, _, text in written]), reverse=True):
        (one, index, _), (other, place, _) = written[first], written[second]
        if (one.probe.id, other.probe.id) not in told:
            told.add((one.probe.id, other.probe.id))
            loc = (*other.loc, *(("prompts", place) if other.probe.prompts else ("messages",)))
            what = f"nearly the same as prompt {index} of probe `{one.probe.id}` (similarity {share:.2f} of 1)"
            yield other.source.document.problem(loc, what, "Ask from another side: repeats add no evidence.")


# Closest pairs of probes: near-duplicates, and in-domain questions among the broad ones.


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
class ClosePair:
    """Two probes by their two closest prompts."""

    similarity: float  # Jaccard index of words and word pairs, a fraction
    kinds: frozenset[Kind]
    first: Written
    second: Written


def closest(suites: Sequence[Loaded], most: int) -> list[ClosePair]:
    """Of each kind at most so many pairs of probes, the closest first. Wordings of one probe are no pair.

    Texts of a common template are left out, and so are pairs below the last of `LEVELS`.
    """
    written = [item for loaded in suites for item in _written(loaded)]
    possible = _possible(written)
    found: list[ClosePair] = []
    for level in LEVELS:
        found = _pairs(written, level)
        if all(sum(kind in pair.kinds for pair in found) >= most for kind in possible):
            break
    chosen = [pair for kind in KINDS for pair in [pair for pair in found if kind in pair.kinds][:most]]
    return sorted(dict.fromkeys(chosen), key=lambda pair: -pair.similarity)


def _written(loaded: Loaded) -> Iterator[Written]:
    for entry, probe in zip(loaded.entries, loaded.suite.probes, strict=True):
        if not entry.source.suite.templated:
            place = (Path(entry.source.document.file).resolve(), entry.index)
            for index, prompt in enumerate(probe.prompts):
                yield Written(loaded.suite.name, probe.id, index, probe.split, prompt[-1].content, place)


def _possible(written: Sequence[Written]) -> set[Kind]:
    several = len({written.suite for written in written}) > 1
    splits = {written.split for written in written}
    return {"within", *(["between"] if several else []), *(["splits"] if splits >= {"broad", "in-domain"} else [])}  # type: ignore[arg-type]


def _pairs(written: Sequence[Written], least: float) -> list[ClosePair]:
    """Each two probes once, with their closest prompts."""
    near = sorted(close_pairs([written.text for written in written], least), key=lambda pair: (-pair[0], *pair[1:]))
    pairs: dict[frozenset[tuple[Path, int]], ClosePair] = {}
    for share, item, two in near:
        first, second = written[item], written[two]
        if first.place != second.place:
            pairs.setdefault(
                frozenset([first.place, second.place]), ClosePair(share, _kinds(first, second), first, second)
            )
    return list(pairs.values())


def _kinds(first: Written, second: Written) -> frozenset[Kind]:
    where: Kind = "within" if first.suite == second.suite else "between"
    is_across = {first.split, second.split} == {"broad", "in-domain"}
    return frozenset([where, "splits"] if is_across else [where])
