"""Long names in little room: cut in the middle, since names that belong together differ at their ends."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from zlib import crc32

GAP = "..."
KEPT = (0.5, 0.3, 0.7, 0.1, 0.9)  # shares of what is kept that stand before the gap, as they are tried
Fits = Callable[[str], bool]


def middle(name: str, length: int) -> str:
    """A name in at most `length` characters, its beginning and its end.

    >>> middle("org/model-with-a-long-suffix-v2", 19), middle("short", 19)
    ('org/mode...uffix-v2', 'short')
    """
    return name if len(name) <= length else _cut(name, max(length - len(GAP), 1), KEPT[0])


def distinct(names: Iterable[str], fits: Fits) -> dict[str, str]:
    """Each name as it is shown: whole where it fits, else cut so that no two look the same.

    Where neither beginning and end nor the place at which two begin to differ tell them apart, a checksum does. It
    may take more room than there is: a name too wide is better than one that is another's, too.

    >>> list(distinct(["a/model-7b-v1", "a/model-7b-v2", "b"], lambda text: len(text) <= 9).values())
    ['a/m...-v1', 'a/m...-v2', 'b']
    """
    wanted = [*dict.fromkeys(names)]
    shown = {name: name for name in wanted if fits(name)}
    long = [name for name in wanted if name not in shown]
    for how in _ways(long, fits):
        made = {name: how(name) for name in long}
        if len({*made.values(), *shown.values()}) == len(wanted):
            return {name: made.get(name, name) for name in wanted}
    made = {name: _marked(name, fits) for name in long}
    if len({*made.values(), *shown.values()}) < len(wanted):
        made = {name: f"{made[name]}#{number}" for number, name in enumerate(long, 1)}
    return {name: made.get(name, name) for name in wanted}


def _ways(names: Sequence[str], fits: Fits) -> Iterator[Callable[[str], str]]:
    """Ways to shorten, the usual one first; one for all names, so that they are read alike."""
    for share in KEPT:
        yield partial(_around, share, fits)
    yield partial(_from_there, _shared(names), fits)


def _around(share: float, fits: Fits, name: str) -> str:
    return _longest(lambda kept: _cut(name, kept, share), len(name), fits)


def _from_there(place: int, fits: Fits, name: str) -> str:
    return _longest(lambda kept: _from(name, place, kept), len(name), fits)


def _shared(names: Sequence[str]) -> int:
    """How many characters all begin with."""
    return next((place for place, chars in enumerate(zip(*names, strict=False)) if len({*chars}) > 1), 0)


def _longest(cut: Callable[[int], str], most: int, fits: Fits) -> str:
    """The cut that keeps most of what still fits; at least two characters."""
    low, high = 2, most
    while low < high:
        kept = (low + high + 1) // 2
        low, high = (kept, high) if fits(cut(kept)) else (low, kept - 1)
    return cut(low)


def _cut(name: str, kept: int, before: float) -> str:
    """`kept` characters of a name around the gap."""
    if kept >= len(name):
        return name
    first = min(max(round(kept * before), 1), max(kept - 1, 1))
    last = kept - first
    return f"{name[:first]}{GAP}{name[len(name) - last :]}"


def _from(name: str, place: int, kept: int) -> str:
    """`kept` characters from shortly before the place at which names begin to differ."""
    start = max(min(place - 1, len(name) - kept), 0)
    end = start + kept
    return f"{GAP if start else ''}{name[start:end]}{GAP if end < len(name) else ''}"


def _marked(name: str, fits: Fits) -> str:
    mark = f"#{crc32(name.encode(errors='replace')):08x}"
    return _longest(lambda kept: f"{name[:kept]}{GAP}{mark}", len(name), fits)
