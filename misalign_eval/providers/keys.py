"""API keys: where they come from, and their redaction in everything that is written or printed."""

import os
import re
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from html.entities import html5
from pathlib import Path

from misalign_eval.errors import UsageError
from misalign_eval.records.headers import Header, wrong_value
from misalign_eval.records.protocols import ModelSpec
from misalign_eval.settings import is_planted

# Finds secrets however a server wrote them, and blots them out.
#
# A server that repeats a key writes it as its libraries write text: JSON with any character as `\u002B`, an address
# with `%2B` or `%2b`, a page with `&#43;`, base64 after `Basic`, JSON within JSON. So each character of a secret is
# looked for in all its spellings, mixed as they come. What hides a secret on purpose (reversed, split, in hexadecimal)
# is not found.


HIDDEN = "[key]"
SHORTEST = 8  # a shorter word, such as the `none` that local servers are given, may stand in any reply
_SLASHES = rb"\\\\{0,14}+"  # JSON within JSON doubles them: four layers. Possessive, or a page of them would last
_URL_SAFE = {"+": "-", "/": "_"}


class Redactor:
    r"""Looks for secrets of 8 characters or more; shorter ones are left alone.

    >>> Redactor(["sk-a+b/c=="]).text('{"key": "SK-a\\u002Bb\\/c%3d&#61;"}')
    '{"key": "[key]"}'
    """

    __slots__ = ("_marks", "_plain", "_secrets")

    def __init__(self, secrets: Iterable[str]) -> None:
        wanted = sorted({secret for secret in secrets if len(secret) >= SHORTEST}, key=lambda item: (-len(item), item))
        self._secrets = tuple(wanted)
        self._plain = tuple(dict.fromkeys(text for item in wanted for text in _plain(item)))
        signs = set().union(*wanted)
        also = [mark for mark, needed in ((b"\\", signs & {'"', "\\"}), (b"+", " " in signs)) if needed]
        self._marks = (b"\\u", b"\\/", b"%", b"&", *also)  # a text without any is held to the plain spellings

    def content(self, content: bytes) -> bytes:
        """UTF-8 without the secrets; the same object when it holds none."""
        if not self._secrets:
            return content
        low = content.lower()  # of the same length: ASCII alone changes
        for text in self._plain:
            if text in low:
                return self._blotted(content, low)
        for mark in self._marks:
            if mark in low:
                return self._blotted(content, low)
        return content

    def text(self, text: str) -> str:
        """The same for text."""
        given = _utf8(text)
        left = self.content(given)
        return text if left is given else left.decode("utf-8", "surrogatepass")

    def _blotted(self, content: bytes, low: bytes) -> bytes:
        for pattern in (pattern for secret in self._secrets for pattern in _patterns(secret)):
            if pattern.search(low):
                content, low = _cut(pattern, content, low)
        return content


def _cut(pattern: re.Pattern[bytes], content: bytes, low: bytes) -> tuple[bytes, bytes]:
    """Both without what the pattern finds in the second."""
    kept, end = [], 0
    for found in pattern.finditer(low):
        kept.append(content[end : found.start()])
        end = found.end()
    left = HIDDEN.encode().join([*kept, content[end:]])
    return left, left.lower()


def _plain(secret: str) -> Iterator[bytes]:
    """What a text without any escape may hold."""
    yield _utf8(secret).lower()
    for middle in _in_base64(secret):
        yield middle.encode().lower()
        yield "".join(_URL_SAFE.get(sign, sign) for sign in middle).encode().lower()


def _utf8(text: str) -> bytes:
    """Half a surrogate pair included, as variables of the environment may hold one."""
    return text.encode("utf-8", "surrogatepass")


@lru_cache(maxsize=64)
def _patterns(secret: str) -> tuple[re.Pattern[bytes], ...]:
    """For lower-case bytes: the secret, and its base64 in either alphabet. Takes 10 ms, so only when first needed."""
    as_it_is = b"".join(_character(sign) for sign in secret)
    encoded = [b"".join(_character(sign, *_URL_SAFE.get(sign, "")) for sign in middle) for middle in _in_base64(secret)]
    return tuple(re.compile(fromkey) for fromkey in dict.fromkeys((as_it_is, *encoded)))


def _in_base64(secret: str) -> Iterator[str]:
    """The signs of its base64 that are the same whatever stands before and after, as in `user:secret`."""
    written = _utf8(secret)
    for before in range(3):
        whole = b64encode(bytes(before) + written).decode()
        yield whole[-(-before * 8 // 6) : (before + len(written)) * 8 // 6]


def _character(*signs: str) -> bytes:
    """One character of a secret, or one of several that mean the same, in every spelling; the longer ones first.

    Each begins with a literal: so a search skips from one possible beginning to the next.
    """
    cases = (case for sign in signs for case in ((sign.upper(), sign.lower()) if sign.isascii() else (sign,)))
    return b"(?:%s)" % b"|".join(dict.fromkeys(spelling for case in cases for spelling in _spellings(case)))


@lru_cache(maxsize=512)
def _spellings(sign: str) -> tuple[bytes, ...]:
    written, units = re.escape(_utf8(sign).lower()), sign.encode("utf-16-be", "surrogatepass")
    in_json = b"".join(_SLASHES + b"u%02x%02x" % (units[at], units[at + 1]) for at in range(0, len(units), 2))
    in_address = b"".join(b"%%(?:25){0,3}%02x" % byte for byte in _utf8(sign))
    names = b"".join(b"|" + re.escape(name.lower().encode()) for name, means in html5.items() if means == sign)
    on_page = rb"&(?:amp;){0,3}(?:#0{0,6}%d;?|#x0{0,6}%x;?%s)" % (ord(sign), ord(sign), names)
    escaped = rb"\\{0,15}" if sign == "\\" else _SLASHES + written
    in_form = (rb"\+",) if sign == " " else ()
    return (in_json, in_address, on_page, escaped, written, *in_form)


# API keys: read from the environment or a `.env` file, handed to the wire, shown to nobody.


_OF_VENDORS = "_API_KEY"  # how the variables of keys end
HEADER_VARIABLES = {"openai": "OPENAI_CUSTOM_HEADERS", "anthropic": "ANTHROPIC_CUSTOM_HEADERS"}  # read by the SDKs
_READ: set[str] = set()  # every key that this process has read


class Key:
    """A key that no repr, message or record can show.

    >>> Key("OPENAI_API_KEY", "sk-secret")
    Key(OPENAI_API_KEY)
    """

    __slots__ = ("_value", "variable")

    def __init__(self, variable: str = "", value: str = "") -> None:
        self.variable = variable
        self._value = value

    def __repr__(self) -> str:
        return f"Key({self.variable})"

    def __bool__(self) -> bool:
        return bool(self._value)

    def reveal(self) -> str:
        """The key itself, for the request's header alone."""
        return self._value

    def scrub(self, text: str) -> str:
        """`text` with the key blotted out, a short one where it stands as it is: some servers repeat it."""
        return Redactor([self._value]).text(text.replace(self._value, HIDDEN)) if self._value else text


def environment(start: Path | None = None) -> Mapping[str, str]:
    """Environment variables, with those of the nearest `.env` at or above `start` behind them. Changes neither.

    Raises UsageError for a `.env` that another user laid into a folder where everybody may write, and for one that
    cannot be read.
    """
    folder = (start or Path.cwd()).resolve()
    for parent in (folder, *folder.parents):
        if (file := parent / ".env").is_file():
            from dotenv import dotenv_values  # costs 30 ms where there is a file to read

            if is_planted(file):
                raise UsageError(
                    f"{file}: belongs to another user, and stands where everybody may write: its keys and addresses "
                    "may be a trap. Work in a folder of your own, outside this one"
                )
            try:
                return {name: value for name, value in dotenv_values(file).items() if value} | dict(os.environ)
            except UnicodeError:
                raise UsageError(f"{file}: is no text in UTF-8. Write it anew, a line `NAME=value` for each") from None
            except OSError as error:
                raise UsageError(f"{file}: cannot be read: {error.strerror}") from None
    return dict(os.environ)


@contextmanager
def unsent_headers(provider: str) -> Iterator[None]:
    """Hide the vendor's variable of request headers while its SDK makes a client, which would send them to any host.

    They may hold a secret, or a key in place of ours, that nothing here would blot out of what a server repeats.
    """
    variable = HEADER_VARIABLES.get(provider, "")
    hidden = os.environ.pop(variable, None)
    try:
        yield
    finally:
        if hidden is not None:
            os.environ[variable] = hidden


def whence(variable: str) -> str:
    """Where the value of a variable comes from, in words: the environment, or the path of a `.env`."""
    if variable in os.environ:
        return "the environment"
    here = Path.cwd().resolve()
    return str(next((file for parent in (here, *here.parents) if (file := parent / ".env").is_file()), ".env"))


def read_key(variable: str, known: Mapping[str, str], *, wanted_by: str) -> Key:
    """The key in `variable`. Raises UsageError that names the variable when it is unset, empty or no header value."""
    if not variable.isidentifier():
        raise UsageError(
            "`--api-key-env` and `api_key_env` take the name of an environment variable, not the key itself."
        )
    value = known.get(variable, "").strip()
    if not value:
        raise UsageError(
            f"{wanted_by} needs a key, but {variable} is not set. Put `{variable}=…` into the environment "
            "or a `.env` file, or name another variable with `--api-key-env`."
        )
    if not value.isascii() or not value.isprintable() or " " in value:
        raise UsageError(f"the key in {variable} holds a space or a character that no HTTP header can carry.")
    return register_secret(variable, value)


def read_headers(spec: ModelSpec, known: Mapping[str, str], own: Collection[str]) -> dict[str, Key]:
    """The extra headers of a model by name, each with its value. `own`: headers that carry its key.

    Raises UsageError for variables that are not set or hold what cannot be sent: each with the line that names it.
    """
    wrong = [f"{header.place}: {spec.name}: header `{header.name}` {why}" for header in spec.headers
             if (why := _unsendable(header, known, own))]  # fmt: skip
    if wrong:
        raise UsageError("\n".join(wrong))
    if plain := {f"{header.place}: header `{header.name}`": [header.value] for header in spec.headers if header.value}:
        reject_keys_in_arguments(plain)
    return {
        header.name: register_secret(header.variable, known[header.variable].strip())
        if header.variable
        else Key("", header.value)
        for header in spec.headers
    }


def _unsendable(header: Header, known: Mapping[str, str], own: Collection[str]) -> str:
    """Why a header cannot be sent; "" where it can. Values are not repeated."""
    if header.name.lower() in own:
        return "carries the key already. Take it out, or the key (`api_key_env`, or its variable)"
    if not header.variable:
        return ""
    value = known.get(header.variable, "").strip()
    if not value:
        return (
            f"is read from {header.variable}, which is not set. Put `{header.variable}=…` into the environment or a "
            "`.env` file"
        )
    if not value.isascii():  # a server writes others in its own encoding, in which nothing would find them
        return f"is read from {header.variable}, which holds a character outside ASCII"
    wrong = wrong_value(value)
    return f"is read from {header.variable}, which {wrong}" if wrong else ""


def secrets_in(value: Key) -> Iterator[Key]:
    """What of a header's value a server may repeat by itself: the token after its scheme, a cookie, a password.

    >>> [key.reveal() for key in secrets_in(Key("A", "Basic dXNlcjpzZWNyZXQ="))]
    ['Basic dXNlcjpzZWNyZXQ=', 'dXNlcjpzZWNyZXQ=', 'user:secret', 'secret']
    """
    whole = value.reveal()
    scheme, _, rest = whole.partition(" ")
    found = [whole, *([rest] if rest and " " not in rest else [])]
    found += [part.partition("=")[2].strip("\"'") for part in re.split(r"[;,\s]+", whole)]
    if scheme.lower() == "basic":
        with suppress(ValueError):
            pair = b64decode(rest, validate=True).decode()
            found += [pair, pair.partition(":")[2]]
    yield from (register_secret(value.variable, fromkey) for fromkey in dict.fromkeys(found) if fromkey.strip("="))


def register_secret(variable: str, value: str) -> Key:
    """A key from anywhere else, which `redact` will know from now on."""
    _READ.add(value)
    return Key(variable, value)


def redact(text: str) -> str:
    """`text` without any key that this process has read: for what nobody foresaw, such as a traceback."""
    return Redactor(_READ).text(text)


def redactor(keys: Iterable[Key]) -> Redactor:
    """What blots all of these keys out of what a server sends."""
    return Redactor(key.reveal() for key in keys)


def reject_keys_in_arguments(given: Mapping[str, Iterable[str]], variables: Iterable[str] = ()) -> None:
    """Texts by flag: what they hold is written down. Raises UsageError for one with a key, and does not repeat it.

    Looked for are the values of all `…_API_KEY` and of these variables.
    """
    try:
        known = environment()
    except UsageError:  # a `.env` that cannot be used: whoever needs a key of it will say so
        known = os.environ
    for variable in dict.fromkeys([*variables, *(name for name in known if name.endswith(_OF_VENDORS))]):
        key = Redactor([known.get(variable, "").strip()])
        for flag, texts in given.items():
            if any(key.text(text) != text for text in texts):
                raise UsageError(
                    f"{flag} holds the key of {variable}, and would be written down with the run. Take it out: keys "
                    "come from the environment or a `.env` file alone"
                )
