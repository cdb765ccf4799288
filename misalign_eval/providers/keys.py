"""API keys: read from the environment or a `.env` file, handed to the wire, shown to nobody."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from misalign_eval.errors import UsageError
from misalign_eval.settings import is_planted

HIDDEN = "[key]"
_SHORTEST = 8  # a shorter word, such as the `none` that local servers are given, may stand in any reply
_READ: set[str] = set()  # every key that this process has read


class Key:
    """A key that no repr, message or record can show.

    >>> Key("OPENAI_API_KEY", "sk-secret")
    Key(OPENAI_API_KEY)
    """

    __slots__ = ("_value", "variable")

    def __init__(self, variable: str = "", value: str = "") -> None:
        self.variable = variable
        self._value = value

    def __repr__(self) -> str:
        return f"Key({self.variable})"

    def __bool__(self) -> bool:
        return bool(self._value)

    def reveal(self) -> str:
        """The key itself, for the request's header alone."""
        return self._value

    def scrub(self, text: str) -> str:
        """`text` with the key blotted out: some servers repeat it in their error."""
        return text.replace(self._value, HIDDEN) if self._value else text

    def spellings(self) -> tuple[str, ...]:
        """How an answer may repeat it: as it is, inside JSON, inside an address. None of a key that is a mere word."""
        value = self._value
        if len(value) < _SHORTEST:
            return ()
        written = json.dumps(value)[1:-1]
        return tuple(dict.fromkeys((value, written, written.replace("/", "\\/"), quote(value, safe=""))))


def environment(start: Path | None = None) -> Mapping[str, str]:
    """Environment variables, with those of the nearest `.env` at or above `start` behind them. Changes neither.

    Raises UsageError for a `.env` that another user laid into a folder where everybody may write.
    """
    folder = (start or Path.cwd()).resolve()
    for place in (folder, *folder.parents):
        if (file := place / ".env").is_file():
            from dotenv import dotenv_values  # costs 30 ms where there is a file to read

            if is_planted(file):
                raise UsageError(
                    f"{file}: belongs to another user, and stands where everybody may write: its keys and addresses "
                    "may be a trap. Work in a folder of your own, outside this one"
                )
            return {name: value for name, value in dotenv_values(file).items() if value} | dict(os.environ)
    return dict(os.environ)


def read_key(variable: str, known: Mapping[str, str], *, wanted_by: str) -> Key:
    """The key in `variable`. Raises UsageError that names the variable when it is unset, empty or no header value."""
    if not variable.isidentifier():
        raise UsageError(
            "`--api-key-env` and `api_key_env` take the name of an environment variable, not the key itself."
        )
    value = known.get(variable, "").strip()
    if not value:
        raise UsageError(
            f"{wanted_by} needs a key, but {variable} is not set. Put `{variable}=…` into the environment "
            "or a `.env` file, or name another variable with `--api-key-env`."
        )
    if not value.isascii() or not value.isprintable() or " " in value:
        raise UsageError(f"the key in {variable} holds a space or a character that no HTTP header can carry.")
    return note(variable, value)


def note(variable: str, value: str) -> Key:
    """A key from anywhere else, which `blot` will know from now on."""
    _READ.add(value)
    return Key(variable, value)


def blot(text: str) -> str:
    """`text` without any key that this process has read: for what nobody foresaw, such as a traceback."""
    for value in sorted(_READ, key=len, reverse=True):
        if len(value) >= _SHORTEST:
            text = text.replace(value, HIDDEN)
    return text
