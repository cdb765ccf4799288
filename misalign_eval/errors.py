"""Every exception of the package. The class says who must act, and the exit code that the command line gives it.

MisalignEvalError
├── UsageError              the user mends a command, a suite or a setting before any request   exit 2
│   ├── InputError          one or more problems in files, all at once, each with file and line
│   ├── MissingExtraError   an optional package is not installed
│   └── FolderLockedError   another process writes this run folder
├── RunStoppedError         the run ended early; what came is on disk and resumes               exit 4
│   ├── NoScoreError        a judge's log-probabilities make no score; its answers can be sampled
│   ├── OtherModelError     another model than the one asked for answers
│   └── UnreadJudgeError    a judge answers, and nothing it says can be read
└── ProviderFault           one attempt at one request failed; recorded as a Failure            (never exits)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

FaultReason = Literal[
    "rate_limit",  # 429 that time heals
    "overloaded",  # 503, 529
    "server",  # other 5xx, 408, 409
    "timeout",  # no complete answer within the attempt's time
    "connection",  # refused, reset, DNS, TLS, cut-off body
    "invalid_response",  # an answer that is no answer: HTML, broken JSON, no choices, an error inside a 200
    "auth",  # 401, 403: wrong or missing key
    "model_not_found",  # 404, or a code that says so
    "quota",  # out of money or over a spend limit: waiting does not heal it
    "context_length",  # the prompt does not fit
    "other_model",  # another model than the one asked for has answered
    "bad_request",  # any other 4xx: the request itself is wrong
]


class MisalignEvalError(Exception):
    """Base of every error that this package raises on purpose."""

    exit_code = 70


class UsageError(MisalignEvalError):
    """Something that the user can mend before any request is sent."""

    exit_code = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in an input file: where, what, and how to mend it."""

    file: str
    line: int | None
    where: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        """`suites/honesty.yaml:8: probes[1].promt: unknown field. Did you mean `prompts`?`"""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        parts = [place, self.where, f"{self.what}. {self.fix}".rstrip() if self.fix else self.what]
        return ": ".join(part for part in parts if part)


class InputError(UsageError):
    """All the problems found in the input, one a line."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)


class MissingExtraError(UsageError):
    """A feature needs a package that is not installed; the message shows the command that installs it."""


class FolderLockedError(UsageError):
    """Another live process holds the run folder."""


class RunStoppedError(MisalignEvalError):
    """The run cannot go on (wrong key, unknown model, budget spent, disk full); rows on disk are safe."""

    exit_code = 4


class NoScoreError(RunStoppedError):
    """No score can be made of what a judge's server gives for log-probabilities. Sampled answers need none."""


class OtherModelError(RunStoppedError):
    """Another model than the one asked for answers. `accept` is the flag, with its value, that accepts it."""

    def __init__(self, message: str, accept: str) -> None:
        super().__init__(message)
        self.accept = accept


class UnreadJudgeError(RunStoppedError):
    """A judge's answers hold no verdict, one after another. Asking on would cost as much and tell as little."""


class ProviderError(MisalignEvalError):
    """One attempt at a request failed.

    `retry` says whether another attempt can help, `after_s` how long the server asked us to wait (seconds, None when it
    did not say), `fatal` that no request to this model can succeed (wrong key, unknown model, no money).
    """

    def __init__(
        self,
        reason: FaultReason,
        message: str,
        *,
        status: int | None = None,
        retry: bool = False,
        after_s: float | None = None,
        fatal: bool = False,
    ) -> None:
        super().__init__(message)
        self.reason: FaultReason = reason
        self.message = message
        self.status = status
        self.retry = retry
        self.after_s = after_s
        self.fatal = fatal


def did_you_mean(wrong: str, known: Sequence[str]) -> str:
    """A closing sentence that helps: the nearest known name, or all of them.

    >>> did_you_mean("opnai", ["openai", "anthropic"])
    'Did you mean `openai`?'
    """
    near = get_close_matches(wrong, known, n=1, cutoff=0.6)
    if near:
        return f"Did you mean `{near[0]}`?"
    return f"Known: {', '.join(sorted(known))}." if known else ""
