"""The proxies that the environment names: which of them stands on the way, and what of it nobody may read."""

import os
from base64 import b64encode
from http import HTTPStatus
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from misalign_eval.errors import ProviderFault
from misalign_eval.providers.keys import Key, note

_HEALING = {408, 425, 429}
_PHRASES = {status.value: status.phrase for status in HTTPStatus}  # ours: the proxy's own words are anybody's


def variable_on_the_way(url: str) -> str | None:
    """The variable whose proxy takes requests to `url`; None where they go straight."""
    parts = urlsplit(url)
    proxies = getproxies()
    scheme = next((one for one in (parts.scheme, "all") if proxies.get(one)), None)
    if scheme is None or proxy_bypass(parts.hostname or ""):
        return None
    spelled = (f"{scheme}_proxy", f"{scheme.upper()}_PROXY")
    return next((name for name in spelled if os.environ.get(name)), "the system's proxy settings")


def proxy_keys() -> tuple[Key, ...]:
    """Passwords of proxies, alone and as they are sent, so that what repeats them can be blotted out."""
    found: list[Key] = []
    for scheme in ("http", "https", "all"):
        address = getproxies().get(scheme, "")
        user, mark, written = address.rpartition("://")[2].rpartition("@")[0].partition(":")
        if mark and written:
            password = unquote(written)
            sent = b64encode(f"{unquote(user)}:{password}".encode()).decode()
            variable = f"{scheme.upper()}_PROXY"
            found += [note(variable, value) for value in dict.fromkeys((password, written, sent))]
    return tuple(found)


def advice(url: str, status: int | None) -> str:
    """What to look at when a request through a proxy failed; nothing where there is none."""
    variable = variable_on_the_way(url)
    if status == 407:
        who = variable or "a proxy on the way, though no variable names one"
        return f" (the proxy wants a user name and password: look at {who}, as in http://user:password@host:port)"
    return f" (through the proxy of {variable}; NO_PROXY names hosts that need none)" if variable else ""


def refused_tunnel(said: str) -> ProviderFault:
    """A proxy's answer that is no tunnel: a status and its name, or the SOCKS library's words.

    5xx may heal, as those of a server do; what a proxy forbids it will forbid again.
    """
    number = said[:3]
    if not (number.isascii() and number.isdecimal()):
        is_stranger = "username" in said.lower()
        return ProviderFault(
            "auth" if is_stranger else "connection", f"the proxy: {said}", retry=not is_stranger, fatal=is_stranger
        )
    status = int(number)
    told = f"the proxy opens no tunnel: {status} {_PHRASES.get(status, '')}".rstrip()
    if status == 407:
        return ProviderFault("auth", told, status=status, fatal=True)
    if status >= 500:
        return ProviderFault("overloaded" if status == 503 else "server", told, status=status, retry=True)
    heals = status in _HEALING
    return ProviderFault("connection", told, status=status, retry=heals, fatal=not heals)
