"""Where requests go, checked before any is sent."""

from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from misalign_eval.errors import UsageError

_ENDPOINTS = ("/chat/completions", "/completions", "/responses", "/messages")


@dataclass(frozen=True, slots=True)
class Address:
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


def parse_address(text: str) -> Address:
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


def _address(text: str, parts: SplitResult) -> Address:
    secure = parts.scheme == "https"
    name = (parts.hostname or "").lower()
    path = parts.path.rstrip("/")
    if not name:
        raise UsageError(f"base URL `{_shown(text)}` names no host.")
    for endpoint in _ENDPOINTS:
        if path.endswith(endpoint):
            raise UsageError(f"base URL `{_shown(text)}` must end before `{endpoint}`: it is added to each request.")
    port = parts.port or (443 if secure else 80)
    return Address(url=f"{parts.scheme}://{parts.netloc}{path}", name=name, port=port, secure=secure)


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
