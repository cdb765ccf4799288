"""Records as JSON, the same bytes for the same record: fractions, never percent; what is not known is null."""

import json
from collections.abc import Sequence

from misalign_eval.records.base import Record


def document(record: Record) -> str:
    """One JSON document in plain ASCII, indented, with a newline at its end."""
    return json.dumps(record.model_dump(mode="json"), indent=2) + "\n"


def documents(records: Sequence[Record]) -> str:
    """One document: of one record the record itself, of several a list."""
    if len(records) == 1:
        return document(records[0])
    return json.dumps([record.model_dump(mode="json") for record in records], indent=2) + "\n"


def line(record: Record) -> str:
    """One line of JSON in plain ASCII, with its newline."""
    return json.dumps(record.model_dump(mode="json", exclude_none=True)) + "\n"
