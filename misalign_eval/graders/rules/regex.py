"""Rule `regex`: a search in a process of its own that is stopped at a time limit."""

import json
import re
import subprocess
import sys
import warnings
import weakref
from pathlib import Path
from threading import Event, Lock, Timer
from typing import Annotated

from pydantic import Field, field_validator

from misalign_eval.graders.rules.base import Decide, Finding, decided, quote, undecided
from misalign_eval.records.base import Record
from misalign_eval.records.grade import Subject

# The matcher: a regular expression in a process of its own, killed when a search takes too long.


TIME_LIMIT_S = 2.0
_WORKER = Path(__file__).with_name("regex_worker.py")


class Matcher:
    """Searches texts for one pattern. The process is started by the first search and again after one was killed."""

    def __init__(self, pattern: str, flags: int = 0, *, whole: bool = False, limit_s: float = TIME_LIMIT_S) -> None:
        self._asked = {"pattern": pattern, "flags": flags, "whole": whole, "limit_s": limit_s}
        self._limit_s = limit_s
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def search(self, text: str) -> tuple[int, int] | None:
        """Where the first match begins and ends. Raises TimeoutError after the limit, OSError when nothing runs."""
        with self._lock:
            process, too_late = self._running(), Event()
            timer = Timer(self._limit_s, _stop, (process, too_late))
            timer.start()
            try:
                answer = _exchange(process, json.dumps({**self._asked, "text": text}))
            finally:
                timer.cancel()
                timer.join()
            if answer is None or too_late.is_set():
                self._process = None
                _end(process)
        if answer is None:
            raise TimeoutError if too_late.is_set() else OSError("the process ended before it answered")
        return None if answer == [] else (answer[0], answer[1])

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._process.poll() is not None:
            command = [sys.executable, "-I", "-S", str(_WORKER)]
            process = subprocess.Popen(  # noqa: S603  our own file
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for us, not for it
            )
            weakref.finalize(self, _end, process)
            self._process = process
        return self._process


def _exchange(process: "subprocess.Popen[bytes]", question: str) -> list[int] | None:
    """One question and its answer; None when the process ended before it answered."""
    if process.stdin is None or process.stdout is None:  # pragma: no cover  both were asked for
        raise OSError("no pipe to the process")
    try:
        process.stdin.write(question.encode() + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except BrokenPipeError:
        line = b""
    if not line.endswith(b"\n"):
        return None
    answer: list[int] = json.loads(line)
    return answer


def _stop(process: "subprocess.Popen[bytes]", too_late: Event) -> None:
    too_late.set()
    process.kill()


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue


# The rule: a pattern of the suite's author against a hostile reply, with a time limit.
#
# Python's `re` cannot be interrupted: while it backtracks it keeps the interpreter's lock, so neither a thread nor an
# event loop can stop it. Patterns that repeat a repetition are refused when the suite is read; every other pattern
# runs in a process of its own, which is killed when its time is over. The reply is then undecided, never a no.


LONGEST_PATTERN = 1_000
LONGEST_READ = 1_000_000
_UNBOUNDED = re.compile(r"[*+]|\{\d*,\}")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]", re.DOTALL)


class RegexOptions(Record):
    """The pattern, in the syntax of Python's `re`, and how it is read."""

    pattern: Annotated[str, Field(min_length=1, max_length=LONGEST_PATTERN)]
    ignore_case: bool = False
    multiline: Annotated[bool, Field(description="`^` and `$` match at every line")] = False
    dot_all: Annotated[bool, Field(description="`.` matches a line's end, too")] = False
    whole: Annotated[bool, Field(description="the pattern must match the whole reply")] = False

    @field_validator("pattern")
    @classmethod
    def _compiles_and_ends(cls, pattern: str) -> str:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"not a regular expression: {error}") from error
        except Warning as doubt:
            raise ValueError(f"not a clear regular expression: {doubt}") from doubt
        if repeats_a_repetition(pattern):
            raise ValueError("a repetition inside a repetition, as in `(a+)+`, can take for ever; write it without one")
        return pattern

    @property
    def flags(self) -> int:
        """The flags of `re`."""
        chosen = {re.IGNORECASE: self.ignore_case, re.MULTILINE: self.multiline, re.DOTALL: self.dot_all}
        return sum(flag for flag, is_on in chosen.items() if is_on)


def make(options: RegexOptions) -> Decide:
    """Whether the pattern occurs in the reply."""
    matcher = Matcher(options.pattern, options.flags, whole=options.whole)

    def decide(subject: Subject) -> Finding:
        if len(subject.reply) > LONGEST_READ:
            return undecided(f"the reply is longer than {LONGEST_READ:,} characters")
        try:
            span = matcher.search(subject.reply)
        except TimeoutError:
            return undecided(f"the pattern took longer than {TIME_LIMIT_S:g} s on this reply")
        except OSError as error:
            return undecided(f"the pattern could not be run: {error}")
        if span is None:
            return decided(False, "no match")
        return decided(True, f"matches {quote(subject.reply[slice(*span)])}")

    return decide


def repeats_a_repetition(pattern: str) -> bool:
    """Whether a group that holds an unbounded repetition is itself repeated without bound.

    >>> repeats_a_repetition("(a+)+$"), repeats_a_repetition("(a+b)?[+*]+")
    (True, False)
    """
    plain = _CLASS.sub("c", re.sub(r"\\.", "c", pattern, flags=re.DOTALL))
    open_groups = [False]
    for index, character in enumerate(plain):
        if character == "(":
            open_groups.append(False)
        elif character == ")" and len(open_groups) > 1:
            holds_one = open_groups.pop()
            if holds_one and _UNBOUNDED.match(plain, index + 1):
                return True
            open_groups[-1] |= holds_one
        elif _UNBOUNDED.match(plain, index):
            open_groups[-1] = True
    return False
