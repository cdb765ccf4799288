"""Any server that speaks OpenAI's chat dialect, over plain HTTP: vLLM, SGLang, llama.cpp, Ollama, gateways, routers."""

from typing import Literal

from pydantic import JsonValue

from misalign_eval.providers.adapter import Adapter, Parts
from misalign_eval.providers.dialect import ChatDialect
from misalign_eval.providers.options import MarkupOptions, read_options
from misalign_eval.providers.prefill import Way, continues, way_of
from misalign_eval.providers.prices import price_of
from misalign_eval.providers.servers import locate
from misalign_eval.providers.wire import HttpWire, JsonObject
from misalign_eval.records.protocols import Capabilities, ModelSpec, Provider


class CompatibleOptions(MarkupOptions):
    """`options:` of an `openai-compatible` target and of the servers known by name.

    `provider` is OpenRouter's own setting; by default no other upstream steps in and none may ignore a setting.
    `prefill`: how the server is asked to continue an assistant turn, where it is another way than its name tells: by
    vLLM's flag, by the turn alone, or not at all.
    `starts_in_thought`: the chat template writes `<think>` itself, and the server leaves the reasoning in the text.
    """

    extra_body: dict[str, JsonValue] = {}
    provider: dict[str, JsonValue] = {}
    starts_in_thought: bool = False
    prefill: Literal["continue_final_message", "final_turn", "none"] | None = None
    verify: bool = True


def create(spec: ModelSpec) -> Provider:
    """An adapter to one model. Raises UsageError for a missing address or key, or a wrong option."""
    options = read_options(spec, CompatibleOptions)
    place = locate(spec)
    extra: JsonObject = dict(options.extra_body)
    if spec.provider == "openrouter" or options.provider:
        extra["provider"] = {"allow_fallbacks": False, "require_parameters": True, **options.provider}
    headers = {"authorization": f"Bearer {place.key.reveal()}"} if place.key else {}
    wire = HttpWire(place.address.url, headers | place.extra, verify=options.verify)
    dialect = ChatDialect(
        spec.model,
        extra=extra,
        starts_in_thought=options.starts_in_thought,
        marks=options.marks,
        continues=way_of(spec) or Way.TURN,
    )
    return Adapter(spec, Parts(place, wire, dialect, price_of(spec)), Capabilities(prefill=continues(spec)))
