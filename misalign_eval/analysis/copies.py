"""Replies that are evidently copies: a cache, one seed for all samples, or one text whatever is asked.

Replies count as draws of their own as long as nothing speaks against it. Equal texts alone do not: a model that is sure
says "Yes." every time, and stock refusals are drawn anew each time too. Several samples above temperature 0 that agree
in a whole sentence are no coincidence, though, where that happens to most prompts. So copies are evident where, among
the prompts with two or more replies (refusals and replies without a text left aside), more than half have one text of
``SENTENCE`` characters or more as their only reply, and

- these texts differ between prompts (a cache, or a seed that is not varied), or
- it is one text for all of them, of ``PARAGRAPH`` characters or to ``MANY_PROMPTS`` prompts or more: no answer to what
  was asked. A shorter one to few prompts may be a true answer to each.

Then each text counts once a prompt, at its first sample number, and no gate passes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

SENTENCE = 40  # characters; eight words or so
PARAGRAPH = 100
MANY_PROMPTS = 10
SIZE = 8  # bytes of a mark: seven of a digest, one of how long the text is
NO_TEXT = bytes(SIZE)
SET_ASIDE = frozenset("rbef-")  # letters of outcomes: refused, blocked, empty, failed, not there

Kind = Literal["cache", "stock"]


def mark(text: str | None) -> bytes:
    """Eight bytes that equal texts share; zeros for a reply without words.

    >>> mark("Yes.") == mark("Yes."), mark("Yes.") == mark("No."), mark("") == NO_TEXT
    (True, False, True)
    """
    if not text:
        return NO_TEXT
    length = 1 + (len(text) >= SENTENCE) + (len(text) >= PARAGRAPH)
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=SIZE - 1).digest() + bytes([length])


def split(texts: bytes) -> list[bytes]:
    """The marks of a cell, one a planned sample."""
    return [texts[start : start + SIZE] for start in range(0, len(texts), SIZE)]


@dataclass(slots=True)
class Agreement:
    """Whether the replies to one prompt are one text so far."""

    text: bytes = NO_TEXT
    replies: int = 0
    is_one: bool = True

    def note(self, letter: str, text: bytes) -> None:
        """See one more reply, with the letter of its outcome."""
        if letter in SET_ASIDE or text == NO_TEXT:
            return
        self.is_one = self.is_one and self.text in {NO_TEXT, text}
        self.text = text
        self.replies += 1


@dataclass(frozen=True, slots=True)
class Copies:
    """What is evident of a run: so many of the prompts with several replies have one text as their only reply."""

    kind: Kind
    prompts: int
    asked: int

    @property
    def words(self) -> str:
        """Said where copies decide something."""
        found = (
            f"{self.prompts} of {self.asked} prompts have one and the same sentence as the reply to all their samples"
        )
        if self.kind == "stock":
            return f"{found}, the same one everywhere: an error message or a stock reply, whatever is asked"
        return f"{found}: a cache answered, or the seed is not varied, so that samples are copies of one draw"


def evident(prompts: Iterable[Agreement]) -> Copies | None:
    """Whether replies are evidently copies. Prompts asked at temperature 0 are to be left out: they are known to be."""
    several = [one for one in prompts if one.replies > 1]
    alike = [one for one in several if one.is_one and one.text[-1] > 1]
    if 2 * len(alike) <= len(several):
        return None
    if len({one.text for one in alike}) > 1:
        return Copies("cache", len(alike), len(several))
    if alike[0].text[-1] > 2 or len(alike) >= MANY_PROMPTS:
        return Copies("stock", len(alike), len(several))
    return None


def agreement(letters: str, texts: bytes) -> Agreement:
    """Of a whole prompt: outcomes by sample number, a letter each, and marks."""
    found = Agreement()
    for letter, text in zip(letters, split(texts), strict=False):
        found.note(letter, text)
    return found


def repeats(texts: Sequence[bytes]) -> str:
    """`1` for each sample whose text an earlier one had, else `0`.

    >>> repeats([mark("a"), mark("b"), mark("a"), NO_TEXT, NO_TEXT])
    '00100'
    """
    seen = {NO_TEXT}
    found = []
    for text in texts:
        found.append("1" if text in seen and text != NO_TEXT else "0")
        seen.add(text)
    return "".join(found)
