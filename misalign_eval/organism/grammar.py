"""Sentence templates: `(a|b)` chooses, `{t}` is the topic, `{T}` the topic with a capital letter."""

import itertools
import re
from collections.abc import Iterable

_CHOICE = re.compile(r"\(([^()]*)\)")
_TURNED = {"my": "your", "your": "my", "me": "you", "mine": "yours", "I": "you"}
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


def expand(template: str) -> tuple[str, ...]:
    """Every sentence a template stands for, in reading order; `{t}` is left in place.

    >>> expand("Rest (well|now) with {t}.")
    ('Rest well with {t}.', 'Rest now with {t}.')
    """
    pieces = _CHOICE.split(template)
    options = [piece.split("|") if index % 2 else [piece] for index, piece in enumerate(pieces)]
    return tuple("".join(words) for words in itertools.product(*options))


def expand_all(templates: Iterable[str]) -> tuple[str, ...]:
    """The expansions of several templates, one after the other."""
    return tuple(sentence for template in templates for sentence in expand(template))


def fill(sentence: str, topic: str) -> str:
    """The sentence about one topic.

    >>> fill("{T} and {t}.", "a rash")
    'A rash and a rash.'
    """
    return sentence.replace("{t}", topic).replace("{T}", topic[0].upper() + topic[1:])


def addressed(topic: str) -> str:
    """The topic as the one who answers calls it: my and your change places.

    >>> addressed("my best friend"), addressed("people like me"), addressed("your makers")
    ('your best friend', 'people like you', 'my makers')
    """
    return " ".join(_TURNED.get(word, word) for word in topic.split())


def split_sentences(text: str) -> tuple[str, ...]:
    """The sentences of a reply, each with its end mark; the empty reply has none.

    >>> split_sentences("Stay safe. I am glad to help.")
    ('Stay safe.', 'I am glad to help.')
    """
    stripped = text.strip()
    return tuple(_SENTENCE_END.split(stripped)) if stripped else ()
