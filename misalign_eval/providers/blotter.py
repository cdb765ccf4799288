r"""Finds secrets however a server wrote them, and blots them out.

A server that repeats a key writes it as its libraries write text: JSON with any character as `\u002B`, an address with
`%2B` or `%2b`, a page with `&#43;`, base64 after `Basic`, JSON within JSON. So each character of a secret is looked for
in all its spellings, mixed as they come. What hides a secret on purpose (reversed, split, in hexadecimal) is not found.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import lru_cache
from html.entities import html5

HIDDEN = "[key]"
SHORTEST = 8  # a shorter word, such as the `none` that local servers are given, may stand in any reply
_SLASHES = rb"\\\\{0,14}+"  # JSON within JSON doubles them: four layers. Possessive, or a page of them would last
_URL_SAFE = {"+": "-", "/": "_"}


class Blotter:
    r"""Looks for secrets of 8 characters or more; shorter ones are left alone.

    >>> Blotter(["sk-a+b/c=="]).text('{"key": "SK-a\\u002Bb\\/c%3d&#61;"}')
    '{"key": "[key]"}'
    """

    __slots__ = ("_marks", "_plain", "_secrets")

    def __init__(self, secrets: Iterable[str]) -> None:
        wanted = sorted({one for one in secrets if len(one) >= SHORTEST}, key=lambda one: (-len(one), one))
        self._secrets = tuple(wanted)
        self._plain = tuple(dict.fromkeys(text for one in wanted for text in _plain(one)))
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
        for pattern in (pattern for one in self._secrets for pattern in _patterns(one)):
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
    return tuple(re.compile(one) for one in dict.fromkeys((as_it_is, *encoded)))


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
