"""Which plain words of a YAML file are numbers, booleans or null, and which only look so to some readers."""

import math
import re

from pydantic import JsonValue
from yaml import SafeLoader

_WORDS: dict[str, JsonValue] = {"true": True, "false": False, "null": None, "": None}
_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_NEW_OCTAL = re.compile(r"0o[0-7]+")  # a number in YAML 1.2, text in YAML 1.1
_MOST_DIGITS = 18
_KINDS = {"bool": "a boolean", "int": "a number", "float": "a number", "timestamp": "a date", "null": "null"}
_PLAINLY = {"bool": " or write `true` or `false`", "null": " or write `null`"}


class AccidentError(Exception):
    """A plain word that readers of YAML do not agree on. The arguments are what is wrong and how to mend it."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


def typed(word: str) -> JsonValue:
    """The value of an unquoted word. Raises AccidentError for one that means different things to different readers.

    >>> typed("0.7"), typed("true"), typed("1.0.0")
    (0.7, True, '1.0.0')
    """
    if word in _WORDS:
        return _WORDS[word]
    if _DECIMAL.fullmatch(word):
        return _number(word)
    kind = "int" if _NEW_OCTAL.fullmatch(word) else _implicit(word)
    if kind in _KINDS:
        raise _accident(word, kind)
    return word


def _number(word: str) -> int | float:
    if _INTEGER.fullmatch(word):
        if len(word) > _MOST_DIGITS:
            raise AccidentError("a number with more than 18 digits", "Quote it if it is text.")
        return int(word)
    value = float(word)
    if not math.isfinite(value):
        raise AccidentError(f"`{word[:40]}` is too large for a number", "Quote it if it is text.")
    return value


def _implicit(word: str) -> str:
    resolvers = SafeLoader.yaml_implicit_resolvers
    for tag, pattern in [*resolvers.get(word[:1], []), *resolvers.get(None, [])]:
        if pattern.match(word):
            return str(tag).rpartition(":")[2]
    return "str"


def _accident(word: str, kind: str) -> AccidentError:
    plainly = _PLAINLY.get(kind, " or write a plain decimal number" if kind in ("int", "float") else "")
    return AccidentError(f"unquoted `{word}` is {_KINDS[kind]} to some YAML readers", f'Quote it: "{word}"{plainly}.')
