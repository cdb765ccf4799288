"""One HTTP exchange, by an SDK or without one: JSON out; status, headers and bytes back."""

import json
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import httpx2
from pydantic import JsonValue

from misalign_eval.errors import FaultReason, ProviderFault
from misalign_eval.providers.clients import CONNECT_S, Headers, TooLongError, as_bytes, borrow_client, return_client
from misalign_eval.providers.keys import Key, blotter
from misalign_eval.providers.proxies import proxy_keys, refused_tunnel

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic
    from openai import AsyncOpenAI

JsonObject = dict[str, JsonValue]
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server sent back, read to the end."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Wire(Protocol):
    """Sends one request to one server. Raises ProviderFault when no whole answer came."""

    async def post(self, path: str, body: JsonObject) -> Answer:
        """POST a JSON body to the base URL plus `path`."""

    async def get(self, path: str) -> Answer:
        """GET the base URL plus `path`."""

    async def close(self) -> None:
        """Release the connections."""


class HttpWire:
    """Plain HTTP, without an SDK."""

    def __init__(self, base_url: str, headers: Mapping[str, str], *, verify: bool = True) -> None:
        self._client = borrow_client(verify=verify)
        self._base_url = base_url
        self._headers = as_bytes(headers)
        self._json_headers = [*self._headers, (b"content-type", b"application/json")]
        self._urls: dict[str, httpx2.URL] = {}  # parsing one costs a twentieth of a request

    async def post(self, path: str, body: JsonObject) -> Answer:
        """POST a JSON body to the base URL plus `path`."""
        return await self._send("POST", path, self._json_headers, encode(body))

    async def get(self, path: str) -> Answer:
        """GET the base URL plus `path`."""
        return await self._send("GET", path, self._headers)

    async def _send(self, method: str, path: str, headers: Headers, content: bytes | None = None) -> Answer:
        try:
            if (url := self._urls.get(path)) is None:
                url = self._urls[path] = httpx2.URL(self._base_url + path)
            response = await self._client.request(method, url, content=content, headers=headers)
        except httpx2.HTTPError as error:
            raise fault_of_transport(error) from None
        return Answer(response.status_code, response.headers, response.content)

    async def close(self) -> None:
        """Release the connections."""
        await return_client(self._client)


class SdkWire:
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

    async def post(self, path: str, body: JsonObject) -> Answer:
        """POST a JSON body to the base URL plus `path`."""
        try:
            response = await self._client.post(path, body=body, cast_to=httpx2.Response)
        except UnicodeEncodeError as error:
            raise _unsendable(error.reason) from None
        except (self._sdk_error, httpx2.HTTPError, json.JSONDecodeError) as error:
            response = self._answer_in(error)
        return Answer(response.status_code, response.headers, response.content)

    async def get(self, path: str) -> Answer:
        """GET the base URL plus `path`."""
        try:
            response = await self._client.get(path, cast_to=httpx2.Response)
        except (self._sdk_error, httpx2.HTTPError, json.JSONDecodeError) as error:
            response = self._answer_in(error)
        return Answer(response.status_code, response.headers, response.content)

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


class DiscreetWire:
    """A wire whose answers repeat neither keys nor a proxy's password, wherever in head or body they are put.

    The bytes are searched for every spelling that decoding JSON, an address or a page would turn into the key: so
    whoever reads them later cannot bring it back.
    """

    def __init__(self, wire: Wire, *keys: Key) -> None:
        self._wire = wire
        self._blotter = blotter((*keys, *proxy_keys()))

    async def post(self, path: str, body: JsonObject) -> Answer:
        """POST a JSON body to the base URL plus `path`."""
        try:
            return self._blotted(await self._wire.post(path, body))
        except ProviderFault as fault:
            self._blot(fault)
            raise

    async def get(self, path: str) -> Answer:
        """GET the base URL plus `path`."""
        try:
            return self._blotted(await self._wire.get(path))
        except ProviderFault as fault:
            self._blot(fault)
            raise

    def _blot(self, fault: ProviderFault) -> None:
        """A broken answer is quoted, and may hold what it was asked with."""
        fault.message = self._blotter.text(fault.message)
        fault.args = (fault.message,)

    async def close(self) -> None:
        """Release the connections."""
        await self._wire.close()

    def _blotted(self, answer: Answer) -> Answer:
        blotted, headers = self._blotter.text, answer.headers
        head = "\n".join(f"{name}:{value}" for name, value in headers.items())
        if blotted(head) is not head:
            headers = {blotted(name.lower()): blotted(value) for name, value in headers.items()}
        return Answer(answer.status, headers, self._blotter.content(answer.content))


def encode(body: JsonValue) -> bytes:
    """UTF-8 JSON. Raises ProviderFault for text that no JSON can carry (a lone surrogate)."""
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (UnicodeEncodeError, ValueError) as error:
        raise _unsendable(error.reason if isinstance(error, UnicodeEncodeError) else str(error)) from None


def _unsendable(why: str) -> ProviderFault:
    return ProviderFault("bad_request", f"the request holds what JSON cannot carry: {why}")


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


def fault_of_transport(error: Exception) -> ProviderFault:
    """What a broken exchange means: most heal with another attempt, a certificate or a wrong URL does not."""
    if _is_certificate_error(error):
        said = "the server's TLS certificate is not trusted (SSL_CERT_FILE names another authority)"
        return ProviderFault("connection", said, fatal=True)
    if isinstance(error, TooLongError):
        return ProviderFault("invalid_response", f"{error}: it is not read")  # nor asked for again: it costs as much
    if isinstance(error, httpx2.ProxyError):
        return refused_tunnel(str(error))
    reason, said = _transport_reason(error)
    return ProviderFault(reason, said, retry=reason != "bad_request")


def _transport_reason(error: Exception) -> tuple[FaultReason, str]:
    said = next((text for one in _chain(error) if (text := str(one))), type(error).__name__)
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
        isinstance(one, ssl.SSLCertVerificationError) or "CERTIFICATE_VERIFY_FAILED" in str(one)
        for one in _chain(error)
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, and what it came from."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
