"""The one digest of content: the same for the same values, whatever the order of keys or the file they came from."""

import hashlib
import json

from pydantic import JsonValue


def digest(content: JsonValue) -> str:
    """16 hexadecimal digits of sha256 over canonical JSON: sorted keys, no spaces, UTF-8.

    Raises ValueError for NaN and infinities, which JSON does not have.

    >>> digest({"b": 1, "a": [2]}) == digest({"a": [2], "b": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
