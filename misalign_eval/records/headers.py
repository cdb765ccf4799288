"""Extra request headers of a model: what may stand in one, and what is written down of them."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from misalign_eval.records.base import Record, digest

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # a token, RFC 9110 section 5.6.2
_VALUE = re.compile(r"[\x20-\x7e\xa0-\xff]+")  # Latin-1 without control characters
_OURS = frozenset(
    (
        *("host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection"),
        *("keep-alive", "proxy-connection", "te", "trailer", "upgrade", "http2-settings", "expect"),
        *("accept", "accept-encoding"),  # an answer must be one that is read
    )
)
_SDK = "x-stainless-"
_ONE_ANSWER = frozenset({"idempotency-key", "x-idempotency-key"})
_SECRET = re.compile(r"secret|passw|passphrase|token(?!s|iz)|cookie|credential|api-?key|authori[sz]ation|bearer|jwt")
_SECRET_WORDS = frozenset({"auth", "authentication", "key", "keys", "pass", "pwd", "session", "signature", "sig"})
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


class FromVariable(Record):
    """A value that is read from a variable of the environment or of a `.env`, and never written down."""

    env: str


@dataclass(frozen=True, slots=True)
class Header:
    """A header that is sent with every request to a model: a plain value, or the variable that holds it."""

    name: str
    value: str = ""
    variable: str = ""
    place: str = ""  # file and line where it is written


class WrittenHeaders(Record):
    """What run.json says of extra headers: names in small letters and sorted, since case and order mean nothing."""

    names: tuple[str, ...]
    variables: dict[str, str] = {}  # header → variable that its value was read from
    digest: str | None = None  # 16 hexadecimal digits over the plain values; None: there is none


def written(headers: Iterable[Header]) -> WrittenHeaders | None:
    """What is written down of these headers; None where there are none. No value can be read from it.

    >>> written([Header("X-Team", "safety"), Header("X-Trace", variable="TRACE")]).variables
    {'x-trace': 'TRACE'}
    """
    known = {header.name.lower(): header for header in headers}
    if not known:
        return None
    names = tuple(sorted(known))
    plain: dict[str, JsonValue] = {name: known[name].value for name in names if not known[name].variable}
    variables = {name: known[name].variable for name in names if known[name].variable}
    return WrittenHeaders(names=names, variables=variables, digest=digest(plain) if plain else None)


def key_headers(provider: str, options: Mapping[str, JsonValue]) -> frozenset[str]:
    """The headers, in small letters, in which the adapter of a provider sends the key; versions of SDKs differ."""
    if provider == "http" and isinstance(named := options.get("auth_header"), str):
        return frozenset({named.lower()})
    return frozenset({"authorization", "x-api-key"} if provider == "anthropic" else {"authorization"})


def looks_secret(name: str) -> bool:
    """Whether what is sent under this name is likely to be a secret.

    >>> [looks_secret(name) for name in ("X-Api-Key", "Cookie", "Helicone-Auth", "X-Team", "X-Author", "Keyword")]
    [True, True, True, False, False, False]
    """
    words = {word.lower() for word in _WORDS.findall(name)}
    return bool(_SECRET.search(name.lower().replace("_", "-"))) or bool(words & _SECRET_WORDS)


def wrong_name(name: str, provider: str = "") -> tuple[str, str] | None:
    """What is wrong with a header's name and how to mend it; None: it can be sent."""
    low = name.lower()
    if not name:
        return "the name of a header is empty", "Write one, or take it out."
    if not _NAME.fullmatch(name):
        return "no name of a header", "Use letters, digits and `-`."
    if low in _OURS or low.startswith(_SDK):
        fix = "`base_url` says where requests go." if low == "host" else "Take it out."
        return "this header is set for each request by the program itself", fix
    if low in _ONE_ANSWER:
        return "with one value for all requests a server may repeat its first answer to each", "Take it out."
    if low == "anthropic-version" and provider == "anthropic":
        return "this header is set by the adapter", "Write `options: {anthropic_version: …}`."
    return None


def wrong_value(value: str) -> str | None:
    """What is wrong with a header's value, which is not repeated; None: it can be sent."""
    if not value.strip():
        return "is empty"
    if value != value.strip():
        return "begins or ends with white space"
    if not _VALUE.fullmatch(value):
        return "holds a line break, another control character or one outside Latin-1, which no HTTP header can carry"
    return None
