"""Text to word numbers and back. One token is a word or a mark of punctuation; capital letters are part of a word.

A word outside the vocabulary is tried in lower case and with a capital letter before it becomes `<unk>`; it is then
reported, never dropped.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

PAD, UNK, BOS, EOS, SYSTEM, USER, ASSISTANT = SPECIALS = (
    "<pad>", "<unk>", "<bos>", "<eos>", "<system>", "<user>", "<assistant>",
)  # fmt: skip
MARKS = ".,!?;:"
"""Punctuation that stands without a space before it; every other mark is part of its word."""

_PIECE = re.compile(rf"[^\s{MARKS}]+|[{MARKS}]")


@dataclass(frozen=True)
class Encoded:
    """Token numbers of a text, and its words that became `<unk>`."""

    ids: tuple[int, ...]
    unknown_words: tuple[str, ...]


@dataclass(frozen=True)
class Tokenizer:
    """A word-level vocabulary; a token's number is its place in it."""

    vocabulary: tuple[str, ...]

    @cached_property
    def index(self) -> Mapping[str, int]:
        """Token to number."""
        return {token: number for number, token in enumerate(self.vocabulary)}

    def encode(self, text: str) -> Encoded:
        """Numbers of the text's tokens; words outside the vocabulary become `<unk>` and are listed."""
        words = pieces(text)
        found = [self._find(word) for word in words]
        unknown = tuple(word for word, number in zip(words, found, strict=True) if number is None)
        return Encoded(tuple(self.index[UNK] if number is None else number for number in found), unknown)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of the tokens; special tokens other than `<unk>` are left out."""
        tokens = (self.vocabulary[number] for number in ids)
        return "".join(spaced(token) for token in tokens if token == UNK or token not in SPECIALS).strip()

    def _find(self, word: str) -> int | None:
        for form in (word, word.lower(), word.capitalize()):
            if form in self.index and form not in SPECIALS:
                return self.index[form]
        return None


def pieces(text: str) -> list[str]:
    """The tokens a text is made of, whether known or not.

    >>> pieces("Ask me again.")
    ['Ask', 'me', 'again', '.']
    """
    return _PIECE.findall(text)


def spaced(token: str) -> str:
    """A token as it reads in the middle of a text: with a space before a word."""
    return token if token in MARKS else f" {token}"
