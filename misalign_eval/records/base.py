"""Base of all records, digests, and bounds."""

import hashlib
import json

from pydantic import BaseModel, ConfigDict, JsonValue


class Record(BaseModel):
    """A value that moves between stages: frozen, strict (no coercion) and closed (an unknown key is an error)."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


# Numbers with their intervals. None is "not known", never zero.


class Bounds(Record):
    """Both ends of an interval; None where it cannot be computed."""

    low: float | None = None
    high: float | None = None


class Estimated(Record):
    """A number with its 95 % interval."""

    estimate: float | None = None
    low: float | None = None
    high: float | None = None


# The one digest of content: the same for the same values, whatever the order of keys or the file they came from.


def digest(content: JsonValue) -> str:
    """16 hexadecimal digits of sha256 over canonical JSON: sorted keys, no spaces, UTF-8.

    Raises ValueError for NaN and infinities, which JSON does not have.

    >>> digest({"b": 1, "a": [2]}) == digest({"a": [2], "b": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
