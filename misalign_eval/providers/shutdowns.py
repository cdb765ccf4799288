"""Models that are about to go, so that a run can say so before its replies can no longer be drawn again."""

from collections.abc import Mapping

from misalign_eval.providers.openai_models import base_model, undecorated
from misalign_eval.records.protocols import ModelSpec

# OpenAI's deprecations page, November 2026. Fine-tunes go with the model that they were made of.
_OPENAI: Mapping[str, str] = {
    "gpt-3.5-turbo": "2026-10-23",
    "gpt-4": "2026-10-23",
    "gpt-4-turbo": "2026-10-23",
    "gpt-4.1": "2027-01-14",
    "gpt-4.1-mini": "2027-01-14",
    "gpt-4.1-nano": "2026-10-23",
    "gpt-4o": "2027-01-14",
    "gpt-4o-2024-05-13": "2026-10-23",
    "gpt-4o-mini": "2027-01-14",
    "gpt-5": "2026-12-11",
    "gpt-5-mini": "2026-12-11",
    "gpt-5-nano": "2026-12-11",
    "gpt-5-pro": "2026-12-11",
    "gpt-5.1": "2027-04-01",
    "gpt-5.4-nano": "2027-04-01",
    "o1": "2026-10-23",
    "o3": "2026-12-11",
    "o3-mini": "2026-10-23",
    "o3-pro": "2026-12-11",
    "o4-mini": "2026-10-23",
}


def shutdown_of(spec: ModelSpec) -> str | None:
    """The day (ISO 8601) on which a model was or will be shut down; None when none is known. Sends nothing.

    >>> shutdown_of(ModelSpec("openai", "ft:gpt-4o-2024-08-06:org::id"))
    '2027-01-14'
    """
    if spec.provider != "openai" or spec.base_url is not None:
        return None
    return _OPENAI.get(undecorated(spec.model)) or _OPENAI.get(base_model(spec.model))
