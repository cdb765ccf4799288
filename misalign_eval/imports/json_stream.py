"""A JSON document read value by value, so that a list of any length takes the memory of its largest row."""

import json
from collections.abc import Iterator
from pathlib import Path

from misalign_eval.errors import InputError, Problem
from misalign_eval.imports import text
from misalign_eval.imports.account import Account

_SPACE = " \t\n\r"
_DECODER = json.JSONDecoder()
_LONGEST_WORD = 16  # characters; what may be cut off at the end of a piece, such as -Infinity or \\u202e


class Values:
    """The values of one document, in the order of the file. Each must be taken before the next is asked for.

    Every method raises InputError with the line for what is no JSON, and for a single value above `text.LONGEST_LINE`.
    """

    def __init__(self, path: Path, encoding: str, account: Account) -> None:
        self._path = path
        self._pieces = text.pieces(path, encoding, account)
        self._text = ""
        self._place = 0  # in the text; what lies before it is taken
        self._lines = 1  # at the beginning of the text

    def peek(self) -> str:
        """The next character that is no space, left where it is; empty at the end of the file."""
        while True:
            while self._place < len(self._text) and self._text[self._place] in _SPACE:
                self._place += 1
            if self._place < len(self._text):
                return self._text[self._place]
            if not self._read_on():
                return ""

    def items(self) -> Iterator[object]:
        """The items of the list that comes next."""
        self._take("[")
        if self.peek() == "]":
            self._take("]")
            return
        yield self.value()
        while self._take(",]") == ",":
            yield self.value()

    def members(self) -> Iterator[str]:
        """The names in the object that comes next; the value of each is to be taken before the next."""
        self._take("{")
        if self.peek() == "}":
            self._take("}")
            return
        while True:
            name = self.value()
            self._take(":")
            yield str(name)
            if self._take(",}") == "}":
                return

    def value(self) -> object:
        """The value that comes next, whole."""
        self.peek()
        while True:
            try:
                found, end = _DECODER.raw_decode(self._text, self._place)
            except RecursionError:
                raise self._wrong("nested too deeply") from None
            except json.JSONDecodeError as error:
                if self._is_broken(error) or not self._read_on():
                    raise self._wrong(f"not JSON: {error.msg}", error.pos) from None
            except ValueError as error:  # a number of more digits than Python reads
                raise self._wrong(f"not JSON: {error}") from None
            else:
                # What follows tells whether a number ends here, as `1` does not before `.5` in the next piece.
                if end <= len(self._text) - _LONGEST_WORD or not self._read_on():
                    self._place = end
                    return found

    def end(self) -> None:
        """Nothing may come any more."""
        if self.peek():
            raise self._wrong("not JSON: something follows the end of the document")

    def _is_broken(self, error: json.JSONDecodeError) -> bool:
        """Whether no further text could mend it."""
        is_open = error.msg.startswith("Unterminated string")
        return not is_open and error.pos < len(self._text) - _LONGEST_WORD

    def _take(self, wanted: str) -> str:
        found = self.peek()
        if not found or found not in wanted:
            raise self._wrong(f"not JSON: {' or '.join(wanted)} is missing")
        self._place += 1
        return found

    def _read_on(self) -> bool:
        """At least double what is not taken yet, so that a long value is read twice at most; False at the end."""
        kept = self._text[self._place :]
        if len(kept) > text.LONGEST_LINE:
            raise self._wrong(f"a value of more than {text.LONGEST_LINE} characters", fix="Leave the largest parts out")
        more: list[str] = []
        for piece in self._pieces:
            more.append(piece)
            if sum(map(len, more)) >= len(kept):
                break
        if more:
            self._lines += self._text.count("\n", 0, self._place)
            self._text, self._place = "".join([kept, *more]), 0
        return bool(more)

    def _wrong(self, what: str, place: int | None = None, fix: str = "Is it cut off?") -> InputError:
        line = self._lines + self._text.count("\n", 0, self._place if place is None else place)
        return InputError([Problem(str(self._path), line, "", what, fix)])
