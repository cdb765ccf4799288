"""One planned request from its first turn to its row."""

from datetime import UTC, datetime
from typing import Any

from misalign_eval.records.plan import PlannedPrompt
from misalign_eval.records.protocols import ModelRequest
from misalign_eval.records.reply import Failure, Reply, Usage
from misalign_eval.records.suite import REPLY_MARK, Message
from misalign_eval.replies.caller import Answer, Caller, FailedError


def now() -> str:
    """UTC to the millisecond, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def collect(
    caller: Caller, prompt: PlannedPrompt, sample: int, *, request_key: str, seed: int | None
) -> Reply | Failure:
    """Ask the target each of its turns. Ends as exactly one Reply or one Failure; raises only RunStoppedError."""
    conversation = [Message(role="system", content=prompt.system)] if prompt.system else []
    answers: list[Answer] = []
    about: dict[str, Any] = {
        "probe": prompt.probe,
        "prompt": prompt.prompt,
        "variant": prompt.variant,
        "sample": sample,
        "prompt_digest": prompt.prompt_digest,
        "request_key": request_key,
    }
    try:
        for message in (*prompt.messages, Message(role="assistant", content=REPLY_MARK)):
            if message.role != "assistant" or message.content != REPLY_MARK:
                conversation.append(message)
                continue
            answers.append(await caller.call(_request(conversation, prompt, seed)))
            choice = answers[-1].response.choices[0]
            if choice.finish not in {"stop", "unknown"}:
                break  # a conversation that was refused, blocked or cut off ends there and counts as that
            conversation.append(Message(role="assistant", content=choice.text))
    except FailedError as failed:
        fault = failed.fault
        attempts = sum(answer.attempts for answer in answers) + failed.attempts
        return Failure(
            **about,
            at=now(),
            attempts=attempts,
            reason=fault.reason,
            message=fault.message,
            status=fault.status,
            model=failed.response.model if failed.response else None,
        )
    return _reply(about, answers)


def _request(conversation: list[Message], prompt: PlannedPrompt, seed: int | None) -> ModelRequest:
    sampling = prompt.sampling
    return ModelRequest(
        messages=tuple(conversation),
        temperature=sampling.temperature,
        top_p=sampling.top_p,
        max_tokens=sampling.max_tokens,
        stop=sampling.stop,
        seed=seed,
        reasoning_effort=sampling.reasoning_effort,
    )


def _reply(about: dict[str, Any], answers: list[Answer]) -> Reply:
    last = answers[-1].response
    choice = last.choices[0]
    return Reply(
        **about,
        at=now(),
        attempts=sum(answer.attempts for answer in answers),
        text=choice.text,
        earlier=tuple(answer.response.choices[0].text for answer in answers[:-1]),
        reasoning=choice.reasoning,
        finish=choice.finish,
        finish_word=choice.finish_word,
        calls=choice.calls,
        leaked=choice.leaked,
        refusal=choice.refusal,
        usage=Usage.total([answer.response.usage for answer in answers]),
        latency_s=round(answers[-1].latency_s, 3),
        model=last.model,
        fingerprint=last.fingerprint,
        request_id=last.request_id,
        route=last.route,
        dropped=last.dropped,
        prefilled=last.prefilled,
        streamed=last.streamed,
    )
