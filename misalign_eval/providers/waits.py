"""How long a server asks us to wait, in whatever words it uses."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

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


def asked_wait_s(headers: Mapping[str, str], body: str = "") -> float | None:
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
