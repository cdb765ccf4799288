"""Requests that wait together are completed together; each caller gets its own answer or error."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from misalign_eval.errors import ProviderError
from misalign_eval.providers.batching import Batcher
from misalign_eval.records.protocols import Choice, ModelRequest, Response
from misalign_eval.records.suite import Message


def request(text: str) -> ModelRequest:
    return ModelRequest((Message(role="user", content=text),))


class Echo:
    """Answers with the question; `broken` fails alone, `broken batch` with its whole batch, `lost` is left out."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def complete_many(self, requests: Sequence[ModelRequest]) -> list[Response | Exception]:
        texts = [request.messages[0].content for request in requests]
        self.batches.append(texts)
        await self.gate.wait()
        if "broken batch" in texts:
            raise ProviderError("server", "out of memory", retry=True)
        return [
            ProviderError("bad_request", "no") if text == "broken" else Response((Choice(text, "stop"),))
            for text in texts
            if text != "lost"
        ]


async def ask(batcher: Batcher, *texts: str) -> list[Any]:
    """The text that came for each, or the error's."""
    asked = (batcher.complete(request(text)) for text in texts)
    answers = await asyncio.gather(*asked, return_exceptions=True)
    return [answer.choices[0].text if isinstance(answer, Response) else str(answer) for answer in answers]


def run(work: Callable[[Batcher, Echo], Awaitable[None]], largest: int = 3) -> None:
    async def main() -> None:
        provider = Echo()
        await asyncio.wait_for(work(Batcher(provider, largest=largest), provider), 10)

    asyncio.run(main())


def test_what_waits_together_is_completed_together_up_to_the_largest_batch() -> None:
    async def work(batcher: Batcher, provider: Echo) -> None:
        assert await ask(batcher, *"abcde") == list("abcde")
        assert provider.batches == [list("abc"), list("de")]

    run(work)


def test_an_error_of_one_request_is_its_own_and_that_of_a_batch_reaches_each_of_its_requests() -> None:
    async def work(batcher: Batcher, provider: Echo) -> None:
        assert await ask(batcher, "a", "broken", "b") == ["a", "no", "b"]
        assert await ask(batcher, "a", "broken batch", "b", "c") == [*["out of memory"] * 3, "c"]
        assert await ask(batcher, "a", "lost") == ["1 answers came to a batch of 2 requests"] * 2

    run(work)


def test_a_request_that_is_given_up_while_it_waits_is_not_sent() -> None:
    async def work(batcher: Batcher, provider: Echo) -> None:
        provider.gate.clear()
        first, second, third = (asyncio.create_task(batcher.complete(request(text))) for text in "abc")
        await asyncio.sleep(0.01)
        first.cancel()
        second.cancel()
        provider.gate.set()
        assert (await third).choices[0].text == "c"
        assert provider.batches == [["a"], ["c"]]

    run(work, largest=1)


def test_closing_ends_what_waits_and_what_is_at_work() -> None:
    async def work(batcher: Batcher, provider: Echo) -> None:
        provider.gate.clear()
        tasks = [asyncio.create_task(batcher.complete(request(text))) for text in "ab"]
        await asyncio.sleep(0.01)
        await batcher.close()
        for task in tasks:
            with pytest.raises(asyncio.CancelledError):
                await task

    run(work, largest=1)
