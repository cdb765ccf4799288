"""Batching: requests that wait at the same time are handed to a provider that completes many at once."""

import asyncio
from collections import deque
from collections.abc import Sequence

from misalign_eval.errors import ProviderError
from misalign_eval.records.protocols import BatchProvider, ModelRequest, Response

_Job = tuple[ModelRequest, "asyncio.Future[Response]"]


class Batcher:
    """Collects waiting requests into batches, one batch at work at a time.

    A request whose caller gave up is left out of later batches; a batch at work is finished, and its answer for that
    caller dropped. An error of a whole batch reaches each of its requests.
    """

    def __init__(self, provider: BatchProvider, *, largest: int) -> None:
        """`largest` is the most requests of a batch, at least 1; what waits beyond that comes with the next one."""
        self._provider = provider
        self._largest = largest
        self._waiting: deque[_Job] = deque()
        self._working: asyncio.Task[None] | None = None

    async def complete(self, request: ModelRequest) -> Response:
        """Wait for the batch that this request comes into. Raises what the provider says of the request."""
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting.append((request, future))
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        return await future

    async def close(self) -> None:
        """Cancel what waits and what is at work."""
        if self._working is not None:
            self._working.cancel()
            await asyncio.gather(self._working, return_exceptions=True)

    async def _work(self) -> None:
        batch: list[_Job] = []
        try:
            while self._waiting:
                await asyncio.sleep(0)  # let everyone who is ready join
                batch = self._next_batch()
                if batch:
                    _settle(batch, await self._results([request for request, _ in batch]))
        finally:  # only a cancelled batcher leaves any
            for _, future in (*batch, *self._waiting):
                future.cancel()
            self._waiting.clear()

    def _next_batch(self) -> list[_Job]:
        batch: list[_Job] = []
        while self._waiting and len(batch) < self._largest:
            request, future = self._waiting.popleft()
            if not future.done():
                batch.append((request, future))
        return batch

    async def _results(self, requests: list[ModelRequest]) -> Sequence[Response | Exception]:
        try:
            results = await self._provider.complete_many(requests)
        except Exception as error:  # noqa: BLE001  whatever it is, each request that waits is told
            return [error] * len(requests)
        if len(results) != len(requests):
            message = f"{len(results)} answers came to a batch of {len(requests)} requests"
            return [ProviderError("invalid_response", message)] * len(requests)
        return results


def _settle(batch: Sequence[_Job], results: Sequence[Response | Exception]) -> None:
    for (_, future), result in zip(batch, results, strict=True):
        if future.done():
            continue
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
