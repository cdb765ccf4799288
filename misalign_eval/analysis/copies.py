"""Detection of copied replies: from a cache, one seed for all samples, or one text for every prompt.

Replies count as draws of their own as long as nothing speaks against it. Equal texts alone do not: a model that is sure
says "Yes." every time, and stock refusals are drawn anew each time too. Several samples above temperature 0 that agree
in a whole sentence are no coincidence, though, where that happens to most prompts. Texts are equal that differ in case,
spacing, a long number or code, a date or a time: a server adds those to a reply that it repeats.

A prompt with two or more replies is copied where one text of ``SENTENCE`` letters and digits or more is its only reply,
or where a third of its replies have a text of ``PARAGRAPH`` characters or more that another one has: fewer copies of
a shorter one are drawn by chance. Replies that the definition counts as refused, and replies without a text, are left
aside; so are prompts whose only reply opens as a refusal, unless every prompt has that one, and it is a paragraph or
there are ``MANY_PROMPTS``. Copies are evident where

- half of the prompts are copied, or a third of them with paragraphs, four replies each (a cache, or a seed that is not
  varied; a single prompt with four replies will do); or
- one text, at least a sentence, makes up a third of the replies to half of the prompts and to ``FEWEST_STOCK`` of them:
  a stock reply, no answer to what was asked.

Then each text counts once a prompt, at its first sample number, and no gate passes.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal

SENTENCE = 40  # letters and digits; eight words or so
PARAGRAPH = 100  # characters
FEWEST_STOCK = 3  # prompts
MANY_PROMPTS = 10  # that one refusal answers before it is no answer
SEVERAL = 4  # replies to a prompt
SIZE = 8  # bytes of a mark: seven of a digest, one of how long the text is
NO_TEXT = bytes(SIZE)
SET_ASIDE = frozenset("rbef-")  # letters of outcomes: refused, blocked, empty, failed, not there

_SHORT, _SENTENCE, _PARAGRAPH, _REFUSAL = 1, 2, 3, 4  # the last byte of a mark; a refusal has its bit besides
_OPENING = 300  # characters in which a refusal is looked for
_REFUSAL_SIGNS = ("sorry", "able", "apolog", "declin", "i ca", "i wo", "i will not", "rather not")  # looked for first
_REFUSES = re.compile(
    r"\b(?:i'm|i am) (?:sorry|unable|not able)\b|^sorry\b|\bi apologi[sz]e\b|\b(?:must|have to) decline\b|"
    r"\bi (?:can't|cannot|can not|won't|will not|'d rather not) "
    r"(?:help|assist|provide|do that|answer|fulfill|comply|discuss|engage|support|share|create|write|give|offer)"
)
_STAMP = re.compile(
    r"\d{4}-\d\d-\d\d(?:t.*)?|\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?z?|"  # dates, times
    r"(?:[0-9a-z]+-){2,}[0-9a-z]+|\d{6,}|(?=\D*\d)(?=[^a-z]*[a-z])[0-9a-z_-]{6,}|"  # UUIDs, long numbers, codes
    r"(?:[a-z]*id|req|request|ref|trace|ticket|session|seq|call|message)[:=#_-]+.+"
)
_NUMBERED = frozenset(
    ("id", "req", "request", "ref", "reference", "trace", "ticket", "session", "seq", "call", "message"),
)
_COUNTER = re.compile(r"[\[(#]+\d+[\])]?")  # at the end
_AROUND = "[](){}<>#.,:;\"'"
_DIGIT = re.compile(r"\d")
_FEWEST_LETTERS = 12  # below these a number is what was said
_TYPOGRAPHIC = str.maketrans({"\u2019": "'", "\u2018": "'", "\u02bc": "'"})

Kind = Literal["cache", "again", "stock"]


def mark(text: str | None) -> bytes:
    """Eight bytes that texts share which are equal but for case, spacing and stamps; zeros for a reply without words.

    >>> mark("Yes.") == mark("yes. "), mark("Yes.") == mark("No."), mark("") == NO_TEXT
    (True, False, True)
    >>> first = "It was all done at 10:31:02 (request 7f3a-12)."
    >>> mark(first) == mark(first.replace("2", "5")), mark("It is 4.") == mark("It is 5.")
    (True, False)
    """
    if not text:
        return NO_TEXT
    plain = " ".join(text.translate(_TYPOGRAPHIC).casefold().split())
    bare = _bare(plain)
    digest = blake2b(bare.encode("utf-8", "surrogatepass"), digest_size=SIZE - 1).digest()
    return digest + bytes([_length(bare) | _REFUSAL * _is_refusal(plain[:_OPENING])])


def _is_refusal(opening: str) -> bool:
    return any(sign in opening for sign in _REFUSAL_SIGNS) and _REFUSES.search(opening) is not None


def _bare(plain: str) -> str:
    """Without stamps, where words are left."""
    if not _DIGIT.search(plain):
        return plain
    words = plain.split(" ")
    before = ["", *words]
    kept = [word for word, last in zip(words, before, strict=False) if word.isalpha() or not _is_stamp(word, last)]
    if kept and _COUNTER.fullmatch(kept[-1]):
        kept.pop()
    bare = " ".join(kept)
    if len(kept) == len(words):
        return plain
    return bare if sum(map(str.isalpha, bare)) >= _FEWEST_LETTERS else plain


def _is_stamp(word: str, before: str) -> bool:
    core = word.strip(_AROUND)
    if not _DIGIT.search(core):
        return False
    return before.strip(_AROUND) in _NUMBERED or bool(_STAMP.fullmatch(core))


def _length(text: str) -> int:
    if len(text) >= 2 * PARAGRAPH:
        return _PARAGRAPH
    if sum(map(str.isalnum, text)) < SENTENCE:
        return _SHORT
    return _PARAGRAPH if len(text) >= PARAGRAPH else _SENTENCE


def split_copies(texts: bytes) -> list[bytes]:
    """The marks of a cell, one a planned sample."""
    return [texts[start : start + SIZE] for start in range(0, len(texts), SIZE)]


@dataclass(slots=True)
class CopyAgreement:
    """How often each text was the reply to one prompt so far, by their marks."""

    texts: Counter[bytes] = field(default_factory=Counter)

    def note(self, letter: str, text: bytes) -> None:
        """See one more reply, with the letter of its outcome."""
        if letter not in SET_ASIDE and text != NO_TEXT:
            self.texts[text] += 1

    @property
    def replies(self) -> int:
        """Replies with a text that are not left aside."""
        return self.texts.total()

    @property
    def only(self) -> bytes | None:
        """The text of all replies; None where there are several."""
        return next(iter(self.texts)) if len(self.texts) == 1 else None

    @property
    def is_refused(self) -> bool:
        """Whether the only reply opens as a refusal."""
        return self.only is not None and bool(self.only[-1] & _REFUSAL)

    @property
    def is_copied(self) -> bool:
        """Whether replies agree as draws of their own do not."""
        if self.only is not None:
            return _at_least(self.only, _SENTENCE)
        long = [text for text in self.texts if _at_least(text, _PARAGRAPH) and not _refuses(text)]
        again = sum(self.texts[text] - 1 for text in long)
        return again > 1 and 3 * again >= self.replies

    @property
    def is_long(self) -> bool:
        """Whether it is copied in paragraphs, and often enough to tell by fewer prompts."""
        return self.is_copied and self.replies >= SEVERAL and any(_at_least(text, _PARAGRAPH) for text in self.texts)

    def frequent(self) -> list[bytes]:
        """Texts of a sentence or more that are a third of the replies, but for refusals."""
        return [
            text
            for text, count in self.texts.items()
            if 3 * count >= self.replies and _at_least(text, _SENTENCE) and not _refuses(text)
        ]


def _at_least(text: bytes, length: int) -> bool:
    return text[-1] & ~_REFUSAL >= length


def _refuses(text: bytes) -> bool:
    return bool(text[-1] & _REFUSAL)


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
            found = found.replace("all their", "many or all of their")
            return f"{found}, the same one everywhere: an error message or a stock reply, whatever is asked"
        if self.kind == "again":
            found += ", or have whole paragraphs again and again"
        return f"{found}: a cache answered, or the seed is not varied, so that samples are copies of one draw"


def evident(prompts: Iterable[CopyAgreement]) -> Copies | None:
    """Whether replies are evidently copies. Prompts asked at temperature 0 are to be left out: they are known to be."""
    every = [prompt for prompt in prompts if prompt.replies > 1]
    is_one_text = len({item.only for item in every}) == 1
    several = [item for item in every if is_one_text or not item.is_refused]
    if (stock := _stock(several, len(every))) is not None:
        return stock
    alike = [item for item in several if item.is_copied]
    long = [item for item in several if item.is_long]
    if not alike or (len(alike) == 1 and alike[0].replies < SEVERAL):
        return None
    if 2 * len(alike) < len(several) and (len(long) < 2 or 3 * len(long) < len(several)):
        return None
    texts = {item.only for item in alike}
    if None in texts:
        return Copies("again", len(alike), len(every))
    if len(texts) > 1 or len(alike) == 1:
        return Copies("cache", len(alike), len(every))
    is_told = not alike[0].is_refused or alike[0].is_long or len(alike) >= MANY_PROMPTS
    return Copies("stock", len(alike), len(every)) if is_told else None


def _stock(several: Sequence[CopyAgreement], asked: int) -> Copies | None:
    found = Counter(text for agreement in several for text in agreement.frequent())
    most = max(found.values(), default=0)
    return Copies("stock", most, asked) if most >= FEWEST_STOCK and 2 * most >= len(several) else None


def agreement(letters: str, texts: bytes) -> CopyAgreement:
    """Of a whole prompt: outcomes by sample number, a letter each, and marks."""
    agreement = CopyAgreement()
    for letter, text in zip(letters, split_copies(texts), strict=False):
        agreement.note(letter, text)
    return agreement


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
