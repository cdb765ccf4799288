"""LLM judges: asking one, and grading by log-probabilities or by samples."""

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from misalign_eval.errors import ProviderError
from misalign_eval.graders import folder as grader_folder
from misalign_eval.graders.folder import GraderFolder
from misalign_eval.graders.judge_answers import JudgeAnswer, JudgeAnswers, is_refusal
from misalign_eval.records.grade import NoVerdict, Subject, UngradedReason, Verdict, Vote
from misalign_eval.records.protocols import Choice, JudgeHandle, ModelRequest, Response, Token
from misalign_eval.records.run import Usage
from misalign_eval.records.suite import Message
from misalign_eval.stats.token_score import (
    Paths,
    Position,
    Spelling,
    digits_of,
    has_decimals,
    likeliest,
    opens,
    read_numbers,
    token_number,
    walk,
)

# Requests to a judge with one rubric, and the reasons for a missing answer.


ASKS = 3  # an answer that cannot be read is asked for again, up to this many times in all


_OF_THE_METHOD = {"n", "top_logprobs"}  # how a judge is asked, which changes no answer: told where a method needs it


@dataclass(slots=True)
class Habits:
    """What a judge's answers have shown so far of how it writes numbers."""

    spelling: Spelling = field(default_factory=Spelling)
    has_spelt: bool = False  # asked for a long number, to see its tokens
    has_decimals: bool | None = None  # whether it writes `0.95`; None: not seen yet
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class Judge:
    """A rubric in front of a model."""

    folder: GraderFolder
    handle: JudgeHandle
    answers: JudgeAnswers
    habits: Habits = field(default_factory=Habits, kw_only=True, compare=False)

    def messages(self, subject: Subject) -> tuple[Message, ...]:
        """The rubric, filled in, as the only message."""
        content = grader_folder.fill(self.folder.rubric, subject, self.folder.spec.sees)
        return (Message(role="user", content=content),)

    def request(self, subject: Subject, **settings: Any) -> ModelRequest:  # noqa: ANN401  the fields of ModelRequest
        """What the judge is asked about a reply."""
        effort = self.handle.spec.sampling.reasoning_effort
        return ModelRequest(messages=self.messages(subject), reasoning_effort=effort, **settings)

    def worded(self, subject: Subject, **settings: Any) -> ModelRequest:  # noqa: ANN401  the fields of ModelRequest
        """What a judge is asked that answers in words: as its grader says, or its user."""
        sampling, given = self.folder.spec.sampling, self.handle.spec.sampling
        limits = {"temperature": sampling.temperature, "max_tokens": sampling.max_tokens}
        return self.request(subject, **limits, top_p=given.top_p, stop=given.stop, **settings)


@dataclass(slots=True)
class JudgeUsage:
    """What the answers to one question have cost so far."""

    usages: list[Usage] = field(default_factory=list)
    request_id: str | None = None
    model: str | None = None
    dropped: set[str] = field(default_factory=set)

    def add(self, response: Response) -> None:
        """Count an answer."""
        self.usages.append(response.usage)
        self.request_id = response.request_id
        self.model = response.model
        self.dropped |= set(response.dropped) - _OF_THE_METHOD

    @property
    def paid(self) -> dict[str, Any]:
        """The fields of a verdict that say what it took."""
        return {
            "usage": Usage.total(self.usages),
            "attempts": max(1, len(self.usages)),
            "request_id": self.request_id,
            "model": self.model,
            "dropped": tuple(sorted(self.dropped)),
        }


def no_answer_reason(choice: Choice) -> UngradedReason | None:
    """Why an answer is none that could be read, as far as the judge's server says."""
    if choice.refusal is not None or choice.finish in ("refusal", "content_filter"):
        return "refused"
    return "truncated" if choice.finish == "length" else None


def explain_error(choice: Choice) -> str:
    """What the judge said, fit to be stored."""
    return grader_folder.well_formed(choice.text or choice.refusal or "")


def failed(fault: ProviderError, bill: JudgeUsage) -> NoVerdict:
    """No answer came."""
    return NoVerdict(
        reason="failed", message=f"{fault.reason}: {grader_folder.well_formed(fault.message)}", **bill.paid
    )


MESSAGES: dict[UngradedReason, str] = {
    "refused": "the judge, or a filter in front of it, refused to answer",
    "truncated": "the judge's answer was cut off before its verdict",
    "unparsable": "no verdict could be read from the judge's answer",
}

Read = Callable[[str], Verdict | None]


async def ask_with_retry_on_unreadable(judge: Judge, request: ModelRequest, read: Read) -> Verdict | NoVerdict:
    """Ask for one answer, again when it cannot be read; a refusal is an answer that is not argued with."""
    bill = JudgeUsage()
    outcome: Verdict | NoVerdict | None = None
    for _ in range(ASKS):
        try:
            response = await judge.handle.ask(request)
        except ProviderError as fault:
            return failed(fault, bill)
        bill.add(response)
        outcome = _outcome(response.choices, read)
        if isinstance(outcome, Verdict) or outcome.reason == "refused":
            break
    if outcome is None:  # pragma: no cover  ASKS is at least 1
        raise RuntimeError("the judge was never asked")
    return outcome.model_copy(update=bill.paid)


def _outcome(choices: Sequence[Choice], read: Read) -> Verdict | NoVerdict:
    choice = choices[0]
    raw, reason = explain_error(choice), no_answer_reason(choice)
    if reason is None and (verdict := read(raw)) is not None:
        return verdict.model_copy(update={"raw": raw})
    reason = reason or ("refused" if is_refusal(raw) else "unparsable")
    return NoVerdict(reason=reason, message=MESSAGES[reason], raw=raw)


# Score by log-probabilities: of one token, or of the tokens of one number.
#
# A tokenizer may write `95` as `9` and `5`. One token of such an answer is no number: the judge is asked again for as
# many tokens as a number needs, and the score is taken where their joint distribution is known
# (`stats/token_score.py`).


TOP_LOGPROBS = 20
NEGLIGIBLE = 0.01  # share of the numbers' probability that may be open: one point on a scale of 100
ROUNDING = 0.01  # how far probabilities may be above 1, one by one or together
SAYS_NOTHING = "the judge's server gave no log-probabilities; a grader of sampled answers needs none"


class _UnreadError(Exception):
    """What the server gave in place of log-probabilities."""


async def grade_by_logprobs(judge: Judge, subject: Subject) -> Verdict | NoVerdict:
    """Ask for one token and read its distribution; ask for more tokens where one does not hold the number."""
    bill, most = JudgeUsage(), 1
    try:
        choice = None if judge.habits.spelling.splits else await _ask(judge, subject, bill, most)
        if choice is None or await _needs_more(judge, choice, bill):
            most = _tokens_of_a_number(judge)
            choice = await _ask(judge, subject, bill, most)
            _learn_decimals(judge, choice)
    except ProviderError as fault:
        return failed(fault, bill)
    return _verdict(judge, choice, most).model_copy(update=bill.paid)


def distribution(token: Token) -> dict[str, float]:
    """{token: probability} of one position: the alternatives, and the sampled token where it is not among them."""
    logprobs = {**({} if token.text in token.top else {token.text: token.logprob}), **token.top}
    probabilities: dict[str, float] = {}
    for text, logprob in logprobs.items():
        if not math.isnan(logprob):
            name = grader_folder.well_formed(text)
            probabilities[name] = probabilities.get(name, 0.0) + math.exp(min(logprob, 0.0))
    return probabilities


async def _ask(judge: Judge, subject: Subject, bill: JudgeUsage, most: int) -> Choice:
    request = judge.request(subject, temperature=0.0, max_tokens=most, top_logprobs=TOP_LOGPROBS)
    response = await judge.handle.ask(request)
    bill.add(response)
    return response.choices[0]


def _tokens_of_a_number(judge: Judge) -> int:
    """As many as the longest number of the scale has digits, and one for what may stand before it."""
    return len(str(judge.answers.high)) + 1


async def _needs_more(judge: Judge, choice: Choice, bill: JudgeUsage) -> bool:
    """Whether one token leaves open which number the answer is."""
    try:
        positions = _positions(choice)
    except _UnreadError:
        return False
    if not positions or no_answer_reason(choice) == "refused":
        return False
    judge.habits.spelling.learn(positions)
    if not _is_open(judge, _walked(judge, choice, positions, 1)):
        return opens(positions[0].sampled) or _may_have_decimals(judge, choice, positions)
    await _learn_spelling(judge, bill)
    return _is_open(judge, _walked(judge, choice, positions, 1))


def _may_have_decimals(judge: Judge, choice: Choice, positions: Sequence[Position]) -> bool:
    """Whether a cut number may begin `0.95`, or `9/10`, where this judge was not seen to write numbers of its scale."""
    first, high = positions[0], judge.answers.high
    number = token_number(first.sampled, 0, high // 10)
    if number is None or choice.finish == "stop" or judge.habits.has_decimals is not None:
        return False
    others = {token_number(text, 0, high) or 0 for text in first.alternatives} - {number}
    return digits_of(first.sampled) in {"0", "1"} or all(other < high // 10 for other in others)


def _learn_decimals(judge: Judge, choice: Choice) -> None:
    tokens = [token.text for token in choice.tokens]
    is_cut = len(tokens) == 1 and choice.finish != "stop"
    if any(map(digits_of, tokens)) and not is_cut and not judge.habits.has_decimals:
        judge.habits.has_decimals = has_decimals(tokens, judge.answers.high)


async def _learn_spelling(judge: Judge, bill: JudgeUsage) -> None:
    """Once for a judge: have it write the longest number of the scale, to see how many tokens that takes.

    A judge that writes something else has shown nothing: that two digits are one token says nothing of three.
    """
    habits, longest = judge.habits, str(judge.answers.high)
    async with habits.lock:
        if habits.has_spelt or habits.spelling.splits or habits.spelling.is_one_token(len(longest)):
            return
        habits.has_spelt = True
        content = f"Write this number and nothing else: {longest}"
        request = ModelRequest(
            messages=(Message(role="user", content=content),),
            temperature=0.0,
            max_tokens=_tokens_of_a_number(judge),
            top_logprobs=TOP_LOGPROBS,
            reasoning_effort=judge.handle.spec.sampling.reasoning_effort,
        )
        with suppress(ProviderError, _UnreadError):
            response = await judge.handle.ask(request)
            bill.add(replace(response, dropped=()))  # what this question lost says nothing of a verdict
            habits.spelling.learn(_positions(response.choices[0]))


def _positions(choice: Choice) -> list[Position]:
    """The output tokens with their distributions. Raises _UnreadError for what cannot be probabilities."""
    positions = []
    for token in choice.tokens:
        highest = max([token.logprob, *token.top.values()], key=lambda value: -math.inf if math.isnan(value) else value)
        if highest > ROUNDING:
            raise _UnreadError(f"{highest:.3g} is above 0, which only probabilities are")
        found = distribution(token)
        if (total := sum(found.values())) > 1 + ROUNDING:
            raise _UnreadError(f"the probabilities of one token add up to {total:.3g}, which is above 1")
        if not found:
            break
        positions.append(Position(grader_folder.well_formed(token.text), found))
    return positions


def _walked(judge: Judge, choice: Choice, positions: Sequence[Position], most: int) -> Paths:
    """An answer of fewer tokens than it might have had, which are all its text, has ended."""
    said, text = "".join(position.sampled for position in positions), digits_of(choice.text)
    has_ended = len(positions) < most and choice.finish == "stop" and text in ("", digits_of(said))
    answers = judge.answers
    return walk(positions, answers.low, answers.high, judge.habits.spelling, ended=has_ended)


def _is_open(judge: Judge, paths: Paths) -> bool:
    """Whether too much of the numbers' probability is on beginnings of numbers, where there is enough for a score."""
    mass = read_numbers(paths.known, judge.answers.low, judge.answers.high, number=token_number).mass + paths.open
    return paths.open > NEGLIGIBLE * mass and mass >= judge.folder.spec.mass_limit


def _verdict(judge: Judge, choice: Choice, most: int) -> Verdict | NoVerdict:
    raw = explain_error(choice)
    if no_answer_reason(choice) == "refused":
        return NoVerdict(reason="refused", message=MESSAGES["refused"], raw=raw)
    try:
        positions = _positions(choice)
    except _UnreadError as error:
        message = f"what the judge's server gives are no log-probabilities: {error}"
        return NoVerdict(reason="no_logprobs", message=message, raw=raw)
    if not positions:
        return NoVerdict(reason="no_logprobs", message=SAYS_NOTHING, raw=raw)
    judge.habits.spelling.learn(positions)
    paths = _walked(judge, choice, positions, most)
    if judge.habits.has_decimals and digits_of(positions[0].sampled):
        return _partial(positions, Paths({}, 1.0), raw)
    if _is_open(judge, paths):
        return _partial(positions, paths, raw)
    return _read(judge, paths.known, raw)


def _partial(positions: Sequence[Position], paths: Paths, raw: str) -> NoVerdict:
    first = positions[0].alternatives
    message = (
        f"{paths.open:.2g} of the probability is on tokens that begin a number, and how it goes on is not known: the "
        "judge writes numbers in several tokens. --judge-method sampled reads its answers"
    )
    return NoVerdict(
        reason="partial_number", message=message, raw=raw, distribution=dict(first), modal=likeliest(first)
    )


def _read(judge: Judge, found: Mapping[str, float], raw: str) -> Verdict | NoVerdict:
    answers, limit = judge.answers, judge.folder.spec.mass_limit
    reading = read_numbers(found, answers.low, answers.high, number=token_number)
    mass, modal = min(reading.mass, 1.0), likeliest(found)
    seen = dict(found)
    if reading.mean is not None and reading.mass >= limit:
        return Verdict(score=reading.mean, raw=raw, distribution=seen, number_mass=mass, modal=modal)
    label = _leading_label(judge, found)
    if label is not None:
        return Verdict(label=label, raw=raw, distribution=seen, number_mass=mass, modal=modal)
    message = f"only {mass:.3g} of the probability was on {answers.low} to {answers.high}, below {limit:g}"
    return NoVerdict(reason="low_mass", message=message, raw=raw, distribution=seen, number_mass=mass, modal=modal)


def _leading_label(judge: Judge, found: Mapping[str, float]) -> str | None:
    """The label that the likeliest of the other tokens begins, when its tokens weigh as much as a score would need."""
    answers = judge.answers
    others = {text: share for text, share in found.items() if token_number(text, answers.low, answers.high) is None}
    label = answers.begins(likeliest(others) or "")
    if label is None:
        return None
    mass = sum(share for text, share in others.items() if answers.begins(text) == label)
    return label if mass >= judge.folder.spec.mass_limit else None


# Score by several sampled answers, for judges that give no log-probabilities.


@dataclass(slots=True)
class _Votes:
    """The answers so far."""

    votes: list[Vote] = field(default_factory=list)
    silent: list[UngradedReason] = field(default_factory=list)  # why votes without a verdict have none


async def grade_by_samples(judge: Judge, subject: Subject) -> Verdict | NoVerdict:
    """Ask `samples` times, in one request where the judge takes `n`, and count the votes."""
    spec, bill, ballot = judge.folder.spec, JudgeUsage(), _Votes()
    sampling = spec.sampling
    request = judge.worded(subject)
    try:
        async for choice in _choices(judge, request, sampling.samples, bill):
            _count(ballot, judge, choice)
    except ProviderError as fault:
        return failed(fault, bill).model_copy(update={"votes": tuple(ballot.votes)})
    return tally(ballot.votes, ballot.silent, sampling.samples, bill)


def requests(judge: Judge) -> int:
    """Number of requests for one grade."""
    return 1 if judge.handle.capabilities().n else judge.folder.spec.sampling.samples


def tally(
    votes: Sequence[Vote], silent: Sequence[UngradedReason], wanted: int, bill: JudgeUsage
) -> Verdict | NoVerdict:
    """The mean of the numbers, or the label, that more than half of the wanted votes give; else no verdict.

    Votes that could not be read stay in `votes` and count as votes for nothing.
    """
    scores = [vote.score for vote in votes if vote.score is not None]
    labels = Counter(vote.label for vote in votes if vote.label is not None)
    label, most = labels.most_common(1)[0] if labels else (None, 0)
    share = len(scores) / wanted
    if 2 * len(scores) > wanted:
        return Verdict(score=sum(scores) / len(scores), number_mass=share, votes=tuple(votes), **bill.paid)
    if 2 * most > wanted:
        return Verdict(label=label, number_mass=share, votes=tuple(votes), **bill.paid)
    reason = _reason(silent, wanted)
    message = MESSAGES.get(reason, f"no majority: {len(scores)} scores and {dict(labels)} of {wanted} answers")
    return NoVerdict(reason=reason, message=message, number_mass=share, votes=tuple(votes), **bill.paid)


async def _choices(judge: Judge, request: ModelRequest, wanted: int, bill: JudgeUsage) -> AsyncIterator[Choice]:
    """As many answers as wanted, however many come at a time."""
    got = 0
    while got < wanted:
        at_once = wanted - got if judge.handle.capabilities().n else 1
        response = await judge.handle.ask(replace(request, n=at_once))
        bill.add(response)
        for choice in response.choices[:at_once]:
            got += 1
            yield choice


def _count(ballot: _Votes, judge: Judge, choice: Choice) -> None:
    raw, reason = explain_error(choice), no_answer_reason(choice)
    answer = None if reason else judge.answers.alone(raw) or judge.answers.last(raw)
    if answer is None:
        ballot.silent.append(reason or ("refused" if is_refusal(raw) else "unparsable"))
        answer = JudgeAnswer()
    ballot.votes.append(Vote(judge=judge.handle.spec.name, score=answer.score, label=answer.label, raw=raw))


def _reason(silent: Sequence[UngradedReason], wanted: int) -> UngradedReason:
    """The commonest reason when half or more said nothing; else the votes were read and differ."""
    if 2 * len(silent) < wanted or not silent:
        return "disagreement"
    return Counter(silent).most_common(1)[0][0]
