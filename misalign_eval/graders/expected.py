"""How much a judge will write for one grade, before anything is asked: rules of thumb by the way it is read."""

from misalign_eval.graders.judges.sampled import requests
from misalign_eval.graders.kinds import EnsembleGrader, JudgeGrader, NamedGrader, requests_per_reply
from misalign_eval.graders.own import MAX_TOKENS, LabelGrader
from misalign_eval.records.dry_run import ExpectedAnswer, Reads
from misalign_eval.records.protocols import Grader

TYPICAL_TOKENS: dict[Reads, int] = {
    "logprobs": 1,  # that many are asked for
    "sampled": 5,  # a number, and what stands around it
    "label": 5,  # a word or two
    "structured": 150,  # a JSON object with a reason of some sentences
    "rubric": 250,  # some paragraphs, then the verdict
    "unknown": 50,  # of a grader of another package
}


def answers(grader: Grader) -> tuple[ExpectedAnswer, ...]:
    """What each judge of this grader will write for one reply; nothing of a rule."""
    match grader:
        case EnsembleGrader(members=members):
            return tuple(one for member in members for one in answers(member))
        case NamedGrader(grader=inner, identity=who):
            return tuple(one.model_copy(update={"grader": who.grader}) for one in answers(inner))
        case JudgeGrader(method="logprobs"):
            return (_answer(grader, "logprobs", most=1),)
        case JudgeGrader(method=method, judge=judge):
            sampling = judge.folder.spec.sampling
            times = sampling.samples if method == "sampled" else 1
            count = requests(judge) if method == "sampled" else 1
            return (_answer(grader, method, times, count, most=sampling.max_tokens),)
        case LabelGrader(judge=own):
            return (_answer(grader, "label", most=own.own.max_tokens or MAX_TOKENS),)
    count = requests_per_reply(grader)
    return (_answer(grader, "unknown", count, count),) if count else ()


def _answer(grader: Grader, reads: Reads, times: int = 1, count: int = 1, *, most: int | None = None) -> ExpectedAnswer:
    """`times` answers in `count` requests, each of at most `most` tokens."""
    usual = TYPICAL_TOKENS[reads]
    return ExpectedAnswer(
        grader=grader.identity.grader,
        judge=str(grader.identity.judge),
        reads=reads,
        requests=count,
        answers=times,
        tokens=usual if most is None else min(usual, most),
        tokens_most=most,
    )
