"""HTTP transport: exchanges, shared clients, proxies and Retry-After."""

import asyncio
import json
import math
import os
import re
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass
from weakref import WeakKeyDictionary

import httpx2
from pydantic import JsonValue

from misalign_eval.errors import FaultReason, ProviderError, UsageError
from misalign_eval.providers.keys import Key, redactor, register_secret

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from openai import AsyncOpenAI


# HTTP clients. Adapters in one event loop share one, so that target and judge on one server share its connections.
#
# Two half-idle pools would cost more than one busy pool: each request looks at every idle connection of its pool.


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


class UnexpectedResponseError(httpx2.RequestError):
    """An answer that stood in the connection before the request was sent: it belongs to none, or to another one."""


class _CountedTransport(httpx2.AsyncByteStream):
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


class BoundedClient(httpx2.AsyncClient):
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
        body = request.stream = _CountedTransport(request.content)
        response = await super().send(request, stream=True, **how)
        if stream:
            return response
        try:
            if not body.waited:
                raise UnexpectedResponseError(
                    "an answer stood there that belongs to no request; the connection is given up"
                )
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
        client = BoundedClient(
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


def acquire_client(*, verify: bool = True) -> httpx2.AsyncClient:
    """The client of the running event loop, to be given to `release_client`; one of its own where none runs."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return open_client(verify=verify)
    clients = _SHARED.setdefault(loop, {})
    if verify not in clients:
        clients[verify] = _Shared(open_client(verify=verify))
    clients[verify].users += 1
    return clients[verify].client


async def release_client(client: httpx2.AsyncClient) -> None:
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


# The proxies that the environment names: which of them stands on the way, and what of it nobody may read.


_HEALING = {408, 425, 429}
_PHRASES = {status.value: status.phrase for status in HTTPStatus}  # ours: the proxy's own words are anybody's


def proxy_variable(url: str) -> str | None:
    """The variable whose proxy takes requests to `url`; None where they go straight."""
    parts = urlsplit(url)
    proxies = getproxies()
    scheme = next((item for item in (parts.scheme, "all") if proxies.get(item)), None)
    if scheme is None or proxy_bypass(parts.hostname or ""):
        return None
    spelled = (f"{scheme}_proxy", f"{scheme.upper()}_PROXY")
    return next((name for name in spelled if os.environ.get(name)), "the system's proxy settings")


def proxy_keys() -> tuple[Key, ...]:
    """Passwords of proxies, alone and as they are sent, so that what repeats them can be blotted out."""
    keys: list[Key] = []
    for scheme in ("http", "https", "all"):
        address = getproxies().get(scheme, "")
        user, mark, written = address.rpartition("://")[2].rpartition("@")[0].partition(":")
        if mark and written:
            password = unquote(written)
            sent = b64encode(f"{unquote(user)}:{password}".encode()).decode()
            variable = f"{scheme.upper()}_PROXY"
            keys += [register_secret(variable, value) for value in dict.fromkeys((password, written, sent))]
    return tuple(keys)


def proxy_hint(url: str, status: int | None) -> str:
    """What to look at when a request through a proxy failed; nothing where there is none."""
    variable = proxy_variable(url)
    if status == 407:
        who = variable or "a proxy on the way, though no variable names one"
        return f" (the proxy wants a user name and password: look at {who}, as in http://user:password@host:port)"
    return f" (through the proxy of {variable}; NO_PROXY names hosts that need none)" if variable else ""


def proxy_refused(said: str) -> ProviderError:
    """A proxy's answer that is no tunnel: a status and its name, or the SOCKS library's words.

    5xx may heal, as those of a server do; what a proxy forbids it will forbid again.
    """
    number = said[:3]
    if not (number.isascii() and number.isdecimal()):
        is_stranger = "username" in said.lower()
        return ProviderError(
            "auth" if is_stranger else "connection", f"the proxy: {said}", retry=not is_stranger, fatal=is_stranger
        )
    status = int(number)
    told = f"the proxy opens no tunnel: {status} {_PHRASES.get(status, '')}".rstrip()
    if status == 407:
        return ProviderError("auth", told, status=status, fatal=True)
    if status >= 500:
        return ProviderError("overloaded" if status == 503 else "server", told, status=status, retry=True)
    heals = status in _HEALING
    return ProviderError("connection", told, status=status, retry=heals, fatal=not heals)


# One HTTP exchange, by an SDK or without one: JSON out; status, headers and bytes back.


JsonObject = dict[str, JsonValue]
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a server sent back, read to the end."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Transport(Protocol):
    """Sends one request to one server. Raises ProviderFault when no whole answer came."""

    async def post(self, path: str, body: JsonObject) -> HttpAnswer:
        """POST a JSON body to the base URL plus `path`."""

    async def get(self, path: str) -> HttpAnswer:
        """GET the base URL plus `path`."""

    async def close(self) -> None:
        """Release the connections."""


class HttpTransport:
    """Plain HTTP, without an SDK."""

    def __init__(self, base_url: str, headers: Mapping[str, str], *, verify: bool = True) -> None:
        self._client = acquire_client(verify=verify)
        self._base_url = base_url
        self._headers = as_bytes(headers)
        self._json_headers = [*self._headers, (b"content-type", b"application/json")]
        self._urls: dict[str, httpx2.URL] = {}  # parsing one costs a twentieth of a request

    async def post(self, path: str, body: JsonObject) -> HttpAnswer:
        """POST a JSON body to the base URL plus `path`."""
        return await self._send("POST", path, self._json_headers, encode(body))

    async def get(self, path: str) -> HttpAnswer:
        """GET the base URL plus `path`."""
        return await self._send("GET", path, self._headers)

    async def _send(self, method: str, path: str, headers: Headers, content: bytes | None = None) -> HttpAnswer:
        try:
            if (url := self._urls.get(path)) is None:
                url = self._urls[path] = httpx2.URL(self._base_url + path)
            response = await self._client.request(method, url, content=content, headers=headers)
        except httpx2.HTTPError as error:
            raise fault_of_transport(error) from None
        return HttpAnswer(response.status_code, response.headers, response.content)

    async def close(self) -> None:
        """Release the connections."""
        await release_client(self._client)


class SdkTransport:
    """The SDKs' documented low-level call: their authentication and headers, without typed models (a third of the CPU).

    Both SDKs share the shape; `openai` and `anthropic` differ here only in the classes that they raise.
    """

    def __init__(
        self,
        client: "AsyncOpenAI | AsyncAnthropic",
        *,
        status_error: type[Exception],
        sdk_error: type[Exception],
    ) -> None:
        self._client = client
        self._status_error = status_error
        self._sdk_error = sdk_error

    async def post(self, path: str, body: JsonObject) -> HttpAnswer:
        """POST a JSON body to the base URL plus `path`."""
        try:
            response = await self._client.post(path, body=body, cast_to=httpx2.Response)
        except UnicodeEncodeError as error:
            raise _unsendable(error.reason) from None
        except (self._sdk_error, httpx2.HTTPError, json.JSONDecodeError) as error:
            response = self._answer_in(error)
        return HttpAnswer(response.status_code, response.headers, response.content)

    async def get(self, path: str) -> HttpAnswer:
        """GET the base URL plus `path`."""
        try:
            response = await self._client.get(path, cast_to=httpx2.Response)
        except (self._sdk_error, httpx2.HTTPError, json.JSONDecodeError) as error:
            response = self._answer_in(error)
        return HttpAnswer(response.status_code, response.headers, response.content)

    def _answer_in(self, error: Exception) -> httpx2.Response:
        """The answer that an SDK wrapped in an error. Raises ProviderFault when there is none."""
        response = getattr(error, "response", None)
        if isinstance(error, self._status_error) and isinstance(response, httpx2.Response):
            return response
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        raise fault_of_transport(cause) from None

    async def close(self) -> None:
        """Release the connections."""
        await self._client.close()


class RedactingTransport:
    """A wire whose answers repeat neither keys nor a proxy's password, wherever in head or body they are put.

    The bytes are searched for every spelling that decoding JSON, an address or a page would turn into the key: so
    whoever reads them later cannot bring it back.
    """

    def __init__(self, wire: Transport, *keys: Key) -> None:
        self._wire = wire
        self._blotter = redactor((*keys, *proxy_keys()))

    async def post(self, path: str, body: JsonObject) -> HttpAnswer:
        """POST a JSON body to the base URL plus `path`."""
        try:
            return self._blotted(await self._wire.post(path, body))
        except ProviderError as fault:
            self._blot(fault)
            raise

    async def get(self, path: str) -> HttpAnswer:
        """GET the base URL plus `path`."""
        try:
            return self._blotted(await self._wire.get(path))
        except ProviderError as fault:
            self._blot(fault)
            raise

    def _blot(self, fault: ProviderError) -> None:
        """A broken answer is quoted, and may hold what it was asked with."""
        fault.message = self._blotter.text(fault.message)
        fault.args = (fault.message,)

    async def close(self) -> None:
        """Release the connections."""
        await self._wire.close()

    def _blotted(self, answer: HttpAnswer) -> HttpAnswer:
        blotted, headers = self._blotter.text, answer.headers
        head = "\n".join(f"{name}:{value}" for name, value in headers.items())
        if blotted(head) is not head:
            headers = {blotted(name.lower()): blotted(value) for name, value in headers.items()}
        return HttpAnswer(answer.status, headers, self._blotter.content(answer.content))


def encode(body: JsonValue) -> bytes:
    """UTF-8 JSON. Raises ProviderFault for text that no JSON can carry (a lone surrogate)."""
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (UnicodeEncodeError, ValueError) as error:
        raise _unsendable(error.reason if isinstance(error, UnicodeEncodeError) else str(error)) from None


def _unsendable(why: str) -> ProviderError:
    return ProviderError("bad_request", f"the request holds what JSON cannot carry: {why}")


def decode(content: bytes) -> JsonValue:
    """The JSON value in an answer, free of lone surrogates. Raises ValueError for anything else."""
    text = content.decode("utf-8", "replace")
    try:
        value: JsonValue = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return _well_formed(value) if _ESCAPED_SURROGATE.search(text) else value


def _well_formed(value: JsonValue) -> JsonValue:
    """Replace lone surrogates, which no file could be written with."""
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_well_formed(item) for item in value]
        case dict():
            return {str(_well_formed(key)): _well_formed(item) for key, item in value.items()}
        case _:
            return value


def fault_of_transport(error: Exception) -> ProviderError:
    """What a broken exchange means: most heal with another attempt, a certificate or a wrong URL does not."""
    if _is_certificate_error(error):
        said = "the server's TLS certificate is not trusted (SSL_CERT_FILE names another authority)"
        return ProviderError("connection", said, fatal=True)
    if isinstance(error, TooLongError):
        return ProviderError("invalid_response", f"{error}: it is not read")  # nor asked for again: it costs as much
    if isinstance(error, httpx2.ProxyError):
        return proxy_refused(str(error))
    reason, said = _transport_reason(error)
    return ProviderError(reason, said, retry=reason != "bad_request")


def _transport_reason(error: Exception) -> tuple[FaultReason, str]:
    said = next((text for exception in _chain(error) if (text := str(exception))), type(error).__name__)
    match error:
        case httpx2.ConnectTimeout() | httpx2.PoolTimeout():
            return "connection", f"no connection within {CONNECT_S:.0f} s"
        case httpx2.TimeoutException():
            return "timeout", "the server did not answer in time"
        case httpx2.DecodingError():
            return "invalid_response", f"the answer cannot be unpacked: {said}"
        case httpx2.LocalProtocolError() | httpx2.UnsupportedProtocol():
            return "bad_request", f"the request cannot be sent: {said}"
        case httpx2.ConnectError():
            return "connection", f"cannot connect: {said}"
        case _:
            return "connection", f"the connection broke: {said}"


def _is_certificate_error(error: BaseException) -> bool:
    return any(
        isinstance(exception, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(exception)
        for exception in _chain(error)
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it came from."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


# How long a server asks us to wait, in whatever words it uses.


_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)")
_IN_TEXT = re.compile(
    r"(?:retry|try again) (?:in|after) ((?:\d+(?:\.\d+)?(?:ms|s|m|h))+)|['\"]retryDelay['\"]: *['\"]([^'\"]+)['\"]"
)
_WINDOWS = ("requests", "tokens", "input-tokens", "output-tokens")


def duration_s(text: str) -> float | None:
    """Seconds of a Go-like duration or a plain number; None when it is neither.

    >>> duration_s("6m0s"), duration_s("59.8s"), duration_s("120ms"), duration_s("7")
    (360.0, 59.8, 0.12, 7.0)
    """
    text = text.strip()
    parts = _PART.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return sum(float(number) * _UNITS_S[unit] for number, unit in parts)
    try:
        seconds = float(text)
    except ValueError:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _until_s(text: str) -> float | None:
    """Seconds until a moment given as an HTTP date or by RFC 3339."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(text)
        except (ValueError, TypeError):
            continue
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return max(0.0, (aware - datetime.now(UTC)).total_seconds())
    return None


def _window_s(headers: Mapping[str, str]) -> float | None:
    """When the used-up window opens again, by OpenAI's and by Anthropic's rate-limit headers; the longest."""
    waits = []
    for window in _WINDOWS:
        for remaining, reset in (
            (f"x-ratelimit-remaining-{window}", f"x-ratelimit-reset-{window}"),
            (f"anthropic-ratelimit-{window}-remaining", f"anthropic-ratelimit-{window}-reset"),
        ):
            if headers.get(remaining) == "0" and (text := headers.get(reset)):
                wait = duration_s(text)
                waits.append(wait if wait is not None else _until_s(text))
    known = [wait for wait in waits if wait is not None]
    return max(known) if known else None


def retry_after_seconds(headers: Mapping[str, str], body: str = "") -> float | None:
    """Seconds to wait by retry-after-ms, Retry-After, rate-limit headers, or the error's own words; None if unsaid."""
    if (milliseconds := duration_s(headers.get("retry-after-ms", ""))) is not None:
        return milliseconds / 1000
    if text := headers.get("retry-after"):
        seconds = duration_s(text)
        return seconds if seconds is not None else _until_s(text)
    if (window := _window_s(headers)) is not None:
        return window
    found = _IN_TEXT.search(body)
    return duration_s(found.group(1) or found.group(2)) if found else None
