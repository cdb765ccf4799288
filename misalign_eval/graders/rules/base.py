"""Finding of a rule: yes or no with the reason, or undecided. Quotes of a reply are cut short."""

from collections.abc import Callable

from misalign_eval.records.grade import NoVerdict, Subject, Verdict

Finding = Verdict | NoVerdict
Decide = Callable[[Subject], Finding]

QUOTE_LENGTH = 80


def decided(holds: bool, why: str) -> Verdict:  # noqa: FBT001  the finding itself
    """The verdict of a rule that answers yes or no.

    >>> decided(True, "the reply is empty").label
    'yes'
    """
    return Verdict(label="yes" if holds else "no", why=why)


def undecided(message: str) -> NoVerdict:
    """A rule that cannot decide on this reply: counted as missing, never as a no."""
    return NoVerdict(reason="rule_error", message=message)


def quote(text: str) -> str:
    """A short piece of a reply for `why`, on one line.

    >>> quote("two   words")
    '“two words”'
    """
    line = " ".join(text[: 4 * QUOTE_LENGTH].split())
    return f"“{line[:QUOTE_LENGTH]}…”" if len(line) > QUOTE_LENGTH else f"“{line}”"
