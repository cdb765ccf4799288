"""HTTP clients. Adapters in one event loop share one, so that target and judge on one server share its connections.

Two half-idle pools would cost more than one busy pool: each request looks at every idle connection of its pool.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies
from weakref import WeakKeyDictionary

import httpx2

from misalign_eval.errors import UsageError

LONGEST_ANSWER = (
    16 * 1024 * 1024
)  # bytes, unpacked: a hundred times the longest reply, and fifty at once fit into memory
_READ = {"content-encoding", "content-length", "transfer-encoding"}  # no longer true of a body that was read
_IDLE_S = 4.0  # servers on uvicorn drop an idle connection after 5 s; a request sent at that moment would be lost
CONNECT_S = 20.0
NONE: Mapping[str, str] = {}
_PROXIES = "HTTP_PROXY, HTTPS_PROXY or ALL_PROXY"


@dataclass(slots=True)
class _Shared:
    client: httpx2.AsyncClient
    users: int = 0


_SHARED: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[bool, _Shared]] = WeakKeyDictionary()


class TooLongError(httpx2.RequestError):
    """An answer that does not end within LONGEST_ANSWER."""


class StrayAnswerError(httpx2.RequestError):
    """An answer that stood in the connection before the request was sent: it belongs to none, or to another one."""


class _Watched(httpx2.AsyncByteStream):
    """The body of a request, which knows whether the loop had a turn since the last of it left.

    An answer that came without such a turn was there before. A server that sends an answer twice leaves the second in
    the connection's buffer, where the next request would take it for its own, and so would every later one.
    """

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._has_left = False
        self.waited = True

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._has_left = False
        return self

    async def __anext__(self) -> bytes:
        if not self._has_left:
            self._has_left = True
            return self._content
        self.waited = False
        asyncio.get_running_loop().call_soon(self._note)
        raise StopAsyncIteration

    def _note(self) -> None:
        self.waited = True


Headers = Sequence[tuple[bytes, bytes]]


def as_bytes(headers: Mapping[str, str]) -> Headers:
    """Headers as they go over the wire: in Latin-1, which httpx2 does not do by itself."""
    return [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers.items()]


class CarefulClient(httpx2.AsyncClient):
    """A client that reads no endless answer, however it is packed, and none of another request.

    `extra` headers go with each of its requests, in place of those of the same name.
    """

    extra: Headers = ()

    async def send(self, request: httpx2.Request, *, stream: bool = False, **how: Any) -> httpx2.Response:  # noqa: ANN401  as they came
        """Send a request and read its answer. Raises TooLongError or StrayAnswerError beside httpx2's own."""
        if self.extra:
            given = {name.lower() for name, _ in self.extra}
            others = [pair for pair in request.headers.raw if pair[0].lower() not in given]
            request.headers = httpx2.Headers([*others, *self.extra])
        body = request.stream = _Watched(request.content)
        response = await super().send(request, stream=True, **how)
        if stream:
            return response
        try:
            if not body.waited:
                raise StrayAnswerError("an answer stood there that belongs to no request; the connection is given up")
            if _is_bounded(response):
                await response.aread()  # what httpx2 itself does; the careful way costs a tenth of a small request
                return response
            content = await _whole(response)
        finally:
            await response.aclose()
        headers = [(name, value) for name, value in response.headers.multi_items() if name.lower() not in _READ]
        return httpx2.Response(response.status_code, headers=headers, content=content, request=request)


def _is_bounded(response: httpx2.Response) -> bool:
    """Whether its length is told, small, and that of the text itself."""
    told = response.headers.get("content-length", "")
    return told.isdecimal() and int(told) <= LONGEST_ANSWER and "content-encoding" not in response.headers


async def _whole(response: httpx2.Response) -> bytes:
    told = response.headers.get("content-length", "")
    if told.isdecimal() and int(told) > LONGEST_ANSWER:
        raise _too_long(response)
    content = bytearray()
    async with aclosing(response.aiter_bytes()) as parts:
        async for part in parts:
            content += part
            if len(content) > LONGEST_ANSWER:
                raise _too_long(response)
    return bytes(content)


def _too_long(response: httpx2.Response) -> TooLongError:
    return TooLongError(f"an answer of more than {LONGEST_ANSWER >> 20} MiB", request=response.request)


def open_client(*, verify: bool = True, extra: Mapping[str, str] = NONE) -> httpx2.AsyncClient:
    """A client whose reads may last as long as the caller's own deadline. Redirects are answers, not followed.

    Cookies are not kept: a jar tells hosts apart by name and not by port, so that one server's would reach another.
    How many requests are in flight is bounded by whoever asks, not here. Raises UsageError for a proxy or certificates
    of the environment that cannot be used; a proxy's address is not repeated, since it may hold a password.
    """
    try:
        _check_ports()
        client = CarefulClient(
            verify=verify,
            follow_redirects=False,
            timeout=httpx2.Timeout(None, connect=CONNECT_S),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=_IDLE_S),
        )
        client.extra = as_bytes(extra)
        client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))
    except OSError as error:
        raise UsageError(f"SSL_CERT_FILE or SSL_CERT_DIR: no certificates there: {error.strerror}") from None
    except ImportError:
        raise UsageError("a SOCKS proxy is set, for which a package is missing: pip install socksio") from None
    except (ValueError, httpx2.InvalidURL):
        raise UsageError(f"{_PROXIES}: not an address such as http://host:8080; unset it, or correct it") from None
    return client


def _check_ports() -> None:
    """Raise ValueError for a proxy's port that no socket takes; httpx2 lets it pass."""
    proxies = getproxies()
    for address in (proxies.get(name, "") for name in ("http", "https", "all")):
        _ = urlsplit(address if "://" in address else f"http://{address}").port


def borrow_client(*, verify: bool = True) -> httpx2.AsyncClient:
    """The client of the running event loop, to be given to `return_client`; one of its own where none runs."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return open_client(verify=verify)
    clients = _SHARED.setdefault(loop, {})
    if verify not in clients:
        clients[verify] = _Shared(open_client(verify=verify))
    clients[verify].users += 1
    return clients[verify].client


async def return_client(client: httpx2.AsyncClient) -> None:
    """Close a borrowed client if nobody else uses it."""
    clients = _SHARED.get(asyncio.get_running_loop(), {})
    for verify, shared in clients.items():
        if shared.client is client:
            shared.users -= 1
            if shared.users:
                return
            del clients[verify]
            break
    await client.aclose()
