"""A judge that reasons first and ends with `ANSWER:`."""

from misalign_eval.graders.judges.answers import before_last_answer
from misalign_eval.graders.judges.asking import Judge, ask_until_read
from misalign_eval.records.grade import NoVerdict, Subject, Verdict

LONGEST_WHY = 500


async def grade(judge: Judge, subject: Subject) -> Verdict | NoVerdict:
    """Ask, and take the last answer."""

    def read(text: str) -> Verdict | None:
        answer = judge.answers.last(text)
        if answer is None:
            return None
        return Verdict(score=answer.score, label=answer.label, why=last_words(before_last_answer(text)))

    return await ask_until_read(judge, judge.worded(subject), read)


def last_words(text: str) -> str | None:
    """The last paragraph, cut to a length that fits a table; None when nothing was said."""
    paragraphs = [part.strip(" \t\r\n*#_`-") for part in text.split("\n\n")]
    last = next((part for part in reversed(paragraphs) if part), None)
    return last if last is None or len(last) <= LONGEST_WHY else f"{last[:LONGEST_WHY]}…"
