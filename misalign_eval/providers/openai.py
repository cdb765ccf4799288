"""OpenAI's own API through its SDK: Chat Completions, or Responses with `options: {api: responses}`."""

from dataclasses import replace
from typing import Literal

from pydantic import JsonValue

from misalign_eval.providers.adapter import Adapter, Parts
from misalign_eval.providers.clients import open_client
from misalign_eval.providers.dialect import ChatDialect, Dialect
from misalign_eval.providers.keys import unsent_headers
from misalign_eval.providers.openai_models import OpenAIRules, capabilities_of, reasoning_of
from misalign_eval.providers.options import read_options
from misalign_eval.providers.prefill import continues
from misalign_eval.providers.prices import price_of
from misalign_eval.providers.responses import ResponsesDialect
from misalign_eval.providers.servers import Place, is_vendor, locate
from misalign_eval.providers.wire import SdkWire
from misalign_eval.records.base import Record
from misalign_eval.records.protocols import ModelSpec, Provider

_NO_KEY = "none"  # the SDK demands one; a local server ignores it


class OpenAIOptions(Record):
    """`options:` of an `openai` target."""

    api: Literal["chat", "responses"] = "chat"
    extra_body: dict[str, JsonValue] = {}
    verify: bool = True


def create(spec: ModelSpec) -> Provider:
    """An adapter to one model. Raises UsageError for a missing key or a wrong address or option."""
    options = read_options(spec, OpenAIOptions)
    place = locate(spec)
    rules = OpenAIRules(reasoning_of(spec.model))
    dialect: Dialect = ChatDialect(spec.model, rules, options.extra_body)
    if options.api == "responses":
        dialect = ResponsesDialect(spec.model, rules, options.extra_body)
    parts = Parts(place, _wire(spec, place, verify=options.verify), dialect, price_of(spec))
    return Adapter(spec, parts, replace(capabilities_of(spec.model), prefill=continues(spec)))


def _wire(spec: ModelSpec, place: Place, *, verify: bool) -> SdkWire:
    import openai  # 0.6 s, for those who use it

    with unsent_headers("openai"):
        client = openai.AsyncOpenAI(
            api_key=place.key.reveal() or _NO_KEY,
            base_url=place.address.url,
            max_retries=0,
            timeout=None,
            http_client=open_client(verify=verify, extra=place.extra),
        )
    if not is_vendor(spec.provider, place.address):
        client.organization = client.project = None  # read from the environment; another host's business not
    return SdkWire(client, status_error=openai.APIStatusError, sdk_error=openai.OpenAIError)
