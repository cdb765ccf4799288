"""What is known of a model before anything is asked, so that a plan can be counted without a key."""

from dataclasses import replace

from misalign_eval.providers.openai_models import capabilities_of
from misalign_eval.providers.prefill import continues
from misalign_eval.records.protocols import Capabilities, ModelSpec

WITHOUT_LOGPROBS = frozenset({"anthropic", "command", "http", "replay"})


def known_beforehand(spec: ModelSpec) -> Capabilities:
    """What provider and name alone tell. What its adapter says once it is made is the same, and may be more.

    >>> known_beforehand(ModelSpec("anthropic", "claude-sonnet-5")).logprobs
    False
    >>> known_beforehand(ModelSpec("vllm", "my-model")).logprobs is None
    True
    """
    if spec.provider == "openai":
        known = capabilities_of(spec.model)
    else:
        known = Capabilities(logprobs=False, n=False) if spec.provider in WITHOUT_LOGPROBS else Capabilities()
    return replace(known, prefill=continues(spec))
