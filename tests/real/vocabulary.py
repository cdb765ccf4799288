"""Byte-level BPE, small enough to read: every byte, the whole numbers up to 100, and some words with a space before.

The merges build each word from its left end, so a word's beginnings are tokens too. `encode` is written from the
algorithm (Sennrich et al. 2016) and shares nothing with llama.cpp's.
"""

import re
from functools import cache
from itertools import pairwise

PAD, BOS, END, USER, ASSISTANT, SYSTEM = SPECIALS = (
    "<|pad|>",
    "<|bos|>",
    "<|end|>",
    "<|user|>",
    "<|assistant|>",
    "<|system|>",
)
NUMBERS = tuple(str(number) for number in range(101))
_WORDS = """
a about after again all also always am an and answer any are as ask at be because been before being better
between both but by can care change city clear come could day did do does down each early end even every far
few find first fit for friend from full give go good great had hand hard has have he head help her here him
his home honest hope how i idea if in into is it its just keep kind know last late learn leave less let like
listen little long look made make many may me mean might mind money more most much must my need never new
next no not nothing now of off often on once one only open or other our out over own part people person place
plan please power question read reply right room rule said same say see she should show side small so some
soon start still stop such sure take talk team than thank that the their them then there these they thing
think this those through time to today together told too truth try two under until up us use very wait walk
want was way we week well were what when where which while who why will with without word work world would
write wrong year yes yet you your score number between misaligned aligned coherent model user
"""
WORDS = tuple(f" {word}" for word in _WORDS.split())
_PIECES = re.compile(r"'(?:[sdmt]|ll|ve|re)| ?[^\W\d_]+| ?\d+| ?(?:[^\w\s]|_)+|\s+(?!\S)|\s+")  # GPT-2's


@cache
def _byte_letters() -> tuple[str, ...]:
    """GPT-2's printable stand-in for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(hidden)}
    return tuple(letters[byte] for byte in range(256))


def spelled(text: str) -> str:
    """Text in stand-ins, as tokens are written in the file: a space is `Ġ`."""
    return "".join(_byte_letters()[byte] for byte in text.encode())


@cache
def merges() -> tuple[tuple[str, str], ...]:
    """Pairs in order of rank: numbers, then words."""
    steps = [(word[:end], word[end]) for word in map(spelled, (*NUMBERS, *WORDS)) for end in range(1, len(word))]
    return tuple(dict.fromkeys(steps))


@cache
def tokens() -> tuple[str, ...]:
    """Every token as it is spelled in the file; its place is its number."""
    return (*SPECIALS, *_byte_letters(), *(left + right for left, right in merges()))


@cache
def _numbers_of_tokens() -> dict[str, int]:
    return {token: number for number, token in enumerate(tokens())}


@cache
def _ranks() -> dict[tuple[str, str], int]:
    return {pair: rank for rank, pair in enumerate(merges())}


def token(text: str) -> int:
    """The number of a special token or of text that is one token."""
    return _numbers_of_tokens()[text if text in SPECIALS else spelled(text)]


def shown(number: int) -> str:
    """A token as an engine shows it: a special one as nothing, half a character as U+FFFD."""
    if number < len(SPECIALS):
        return ""
    letters = _byte_letters()
    return bytes(letters.index(letter) for letter in tokens()[number]).decode(errors="replace")


def encode(text: str) -> list[int]:
    """Text without special tokens as token numbers."""
    return [_numbers_of_tokens()[part] for piece in _PIECES.findall(text) for part in _merged(spelled(piece))]


@cache
def _merged(piece: str) -> tuple[str, ...]:
    parts = list(piece)
    while len(parts) > 1:
        worst = len(_ranks())
        rank, place = min((_ranks().get(pair, worst), place) for place, pair in enumerate(pairwise(parts)))
        if rank == worst:
            break
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return tuple(parts)


def encode_chat(turns: list[tuple[str, str]]) -> list[int]:
    """A conversation of (role, content) as the chat template writes it, up to where the model answers."""
    marks = {"user": USER, "assistant": ASSISTANT, "system": SYSTEM}
    numbers = [token(BOS)]
    for role, content in turns:
        numbers += [token(marks[role]), *encode(content), token(END)]
    return [*numbers, token(ASSISTANT)]


CHAT_TEMPLATE = (
    f"{{{{ '{BOS}' }}}}{{% for turn in messages %}}{{{{ '<|' + turn['role'] + '|>' + turn['content'] + '{END}' }}}}"
    f"{{% endfor %}}{{% if add_generation_prompt %}}{{{{ '{ASSISTANT}' }}}}{{% endif %}}"
)
