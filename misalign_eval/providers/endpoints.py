"""Endpoints: addresses of servers, checked before any request, and the keys that may go there."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, urlsplit

from misalign_eval.errors import UsageError
from misalign_eval.plugins import ServerPreset, server_of
from misalign_eval.providers.keys import Key, environment, read_headers, read_key, secrets_in, whence
from misalign_eval.records.headers import key_headers
from misalign_eval.records.protocols import ModelSpec

# Where requests go, checked before any is sent.


_ENDPOINTS = ("/chat/completions", "/completions", "/responses", "/messages")


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """A base URL without user name, query or closing slash."""

    url: str
    name: str  # the host's name alone
    port: int
    secure: bool

    @property
    def host(self) -> str:
        """`host:port`, as it is recorded."""
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"

    def belongs_to(self, domains: tuple[str, ...]) -> bool:
        """Whether this is one of the domains or under one, reached over TLS."""
        return self.secure and any(self.name == domain or self.name.endswith(f".{domain}") for domain in domains)


def parse_address(text: str) -> ServerAddress:
    """Check a base URL. Raises UsageError that says what to write instead; never repeats a password.

    >>> parse_address("http://localhost:8000/v1/").host
    'localhost:8000'
    """
    parts = _split(text)
    if parts.scheme not in ("http", "https"):
        raise UsageError(f"base URL `{_shown(text)}` must start with http:// or https://.")
    if "@" in parts.netloc:
        raise UsageError(
            "the base URL holds a user name or password. Take it out, put the key into an environment variable "
            "and name that with `--api-key-env`."
        )
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise UsageError(f"base URL `{_shown(text)}` must end before `?` and `#`: nothing after them can be used.")
    return _address(text, parts)


def _address(text: str, parts: SplitResult) -> ServerAddress:
    secure = parts.scheme == "https"
    name = (parts.hostname or "").lower()
    path = parts.path.rstrip("/")
    if not name:
        raise UsageError(f"base URL `{_shown(text)}` names no host.")
    for endpoint in _ENDPOINTS:
        if path.endswith(endpoint):
            raise UsageError(f"base URL `{_shown(text)}` must end before `{endpoint}`: it is added to each request.")
    port = parts.port or (443 if secure else 80)
    return ServerAddress(url=f"{parts.scheme}://{parts.netloc}{path}", name=name, port=port, secure=secure)


def _split(text: str) -> SplitResult:
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise UsageError("the base URL holds a space or a character that no URL may hold.")
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  raises on a port that is no number
    except ValueError as error:
        raise UsageError(f"base URL `{_shown(text)}` cannot be read: {error}.") from None
    return parts


def _shown(text: str) -> str:
    """The address without what may be secret: user name, password and query."""
    scheme, mark, rest = text.partition("://")
    return (scheme + mark + rest.rpartition("@")[2] if mark else text.rpartition("@")[2]).partition("?")[0]


# Where one model lives: its own address and key variable, else those of the preset of its provider.


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one model lives, with which key, and whose limits its requests share."""

    address: ServerAddress
    key: Key
    withheld: str = ""  # the variable whose key was not sent, since it belongs to another host
    headers: Mapping[str, Key] = field(default_factory=dict)  # extra ones by name

    @property
    def account(self) -> str:
        """Names the limits that requests share: host and key variable, never a key."""
        return f"{self.address.host} {self.key.variable}".strip()

    @property
    def extra(self) -> dict[str, str]:
        """Extra headers as they are sent."""
        return {name: value.reveal() for name, value in self.headers.items()}

    @property
    def secrets(self) -> tuple[Key, ...]:
        """What nobody may read of what is sent: the key, and headers whose values come from variables."""
        return (self.key, *(part for value in self.headers.values() if value.variable for part in secrets_in(value)))


def resolve_endpoint(spec: ModelSpec) -> Endpoint:
    """Find address, key and headers of a model. Raises UsageError when one is missing or wrong; sends nothing.

    A vendor's key goes to the vendor's own hosts only, over TLS, unless `api_key_env` names it.
    """
    known = environment()
    place = _place(spec, _preset(spec.provider), known)
    own = key_headers(spec.provider, spec.options) if place.key else frozenset()
    return replace(place, headers=read_headers(spec, known, own))


def _preset(provider: str) -> ServerPreset:
    server = server_of(provider)
    if server is None:
        raise UsageError(f"provider `{provider}` sends no HTTP requests")
    return server


def _place(spec: ModelSpec, server: ServerPreset, known: Mapping[str, str]) -> Endpoint:
    address = _server_address(spec, server, known)
    if spec.api_key_env:
        return Endpoint(address, read_key(spec.api_key_env, known, wanted_by=spec.name))
    present = next((name for name in server.key_variables if known.get(name)), None)
    if server.domains and not address.belongs_to(server.domains):
        return Endpoint(address, Key(), withheld=present or "")
    if present or server.needs_key:
        return Endpoint(address, read_key(present or server.key_variables[0], known, wanted_by=spec.name))
    return Endpoint(address, Key())


def locate_address(spec: ModelSpec) -> ServerAddress:
    """Where requests for this model go. Raises UsageError as `resolve_endpoint` does; asks for no key."""
    return _server_address(spec, _preset(spec.provider), environment())


def moved(spec: ModelSpec) -> str | None:
    """The host that a variable decides, and where that was set; None where flag, file or the vendor decides.

    Raises UsageError for an address that is none.
    """
    server = server_of(spec.provider)
    if server is None or spec.base_url or not server.base_variable:
        return None
    if not (url := environment().get(server.base_variable)) or url == server.url:
        return None
    return f"at {parse_address(url).host}, says {server.base_variable} in {whence(server.base_variable)}"


def _server_address(spec: ModelSpec, server: ServerPreset, known: Mapping[str, str]) -> ServerAddress:
    url = spec.base_url or known.get(server.base_variable) or server.url
    if not url:
        also = f" or {server.base_variable}" if server.base_variable else ""
        raise UsageError(f"{spec.name} needs an address: give `--base-url https://HOST/v1`{also}.")
    return parse_address(url)


def is_vendor(provider: str, address: ServerAddress) -> bool:
    """Whether this address is the vendor's own: only there do its prices and its shutdown dates hold."""
    return address.belongs_to(_preset(provider).domains)
