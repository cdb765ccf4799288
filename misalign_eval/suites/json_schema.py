"""The JSON Schema of suite files, for editors: completion, hints and underlined mistakes while one writes."""

import json
from typing import Any

from pydantic import TypeAdapter

from misalign_eval.suites.schema import SuiteFile

FILE = "suite.schema.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def text() -> str:
    """The schema as it lies beside the suites."""
    return written(TypeAdapter(SuiteFile).json_schema(), "Suite of probes for misalign-eval")


def written(schema: dict[str, Any], title: str) -> str:
    """A schema as a file for editors."""
    whole = {"$schema": _DIALECT, "title": title, **_without_titles(schema)}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _without_titles(schema: Any) -> Any:  # noqa: ANN401  any part of a schema
    """Pydantic titles every field with its own name, which editors would show instead of the description."""
    if isinstance(schema, dict):
        kept = {key: value for key, value in schema.items() if key != "title" or not isinstance(value, str)}
        return {key: _without_titles(value) for key, value in kept.items()}
    return [_without_titles(part) for part in schema] if isinstance(schema, list) else schema
