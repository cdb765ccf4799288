"""The JSON Schema of grader.yaml, for editors."""

import json

from misalign_eval.graders.spec import GraderSpec

FILE = "grader.schema.json"
_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def text() -> str:
    """The schema as it lies beside the graders."""
    whole = {"$schema": _DIALECT, **GraderSpec.model_json_schema(), "title": "Grader for misalign-eval"}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"
