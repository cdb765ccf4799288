"""Claude models by Anthropic's Messages API, through its SDK."""

from pydantic import JsonValue

from misalign_eval.providers.adapter import Adapter, Parts
from misalign_eval.providers.clients import open_client
from misalign_eval.providers.keys import unsent_headers
from misalign_eval.providers.messages import MessagesDialect
from misalign_eval.providers.options import read_options
from misalign_eval.providers.prefill import continues
from misalign_eval.providers.prices import price_of
from misalign_eval.providers.servers import Place, locate
from misalign_eval.providers.wire import SdkWire
from misalign_eval.records.base import Record
from misalign_eval.records.protocols import Capabilities, ModelSpec, Provider

_NO_KEY = "none"  # without one the SDK looks for credentials of its own


class AnthropicOptions(Record):
    """`options:` of an `anthropic` target.

    `anthropic_version: "2023-06-01"` lets models up to Claude 4.6 take a temperature; later ones refuse any.
    """

    anthropic_version: str | None = None
    extra_body: dict[str, JsonValue] = {}
    verify: bool = True


def create(spec: ModelSpec) -> Provider:
    """An adapter to one model. Raises UsageError for a missing key or a wrong address or option."""
    options = read_options(spec, AnthropicOptions)
    place = locate(spec)
    takes_temperature = (options.anthropic_version or "9999") < "2026"
    dialect = MessagesDialect(spec.model, takes_temperature, options.extra_body)
    parts = Parts(place, _wire(place, options), dialect, price_of(spec), models_path="/v1/models")
    temperature = None if takes_temperature else False
    capabilities = Capabilities(
        system=True, logprobs=False, seed=False, n=False, temperature=temperature, prefill=continues(spec)
    )
    return Adapter(spec, parts, capabilities)


def _wire(place: Place, options: AnthropicOptions) -> SdkWire:
    import anthropic  # 1 s, for those who use it

    version = options.anthropic_version
    with unsent_headers("anthropic"):
        client = anthropic.AsyncAnthropic(
            api_key=place.key.reveal() or _NO_KEY,
            base_url=place.address.url.removesuffix("/v1"),
            max_retries=0,
            timeout=None,
            open_telemetry={"traces": False, "propagation": False},  # on by default: it would hand traces to others
            default_headers={"anthropic-version": version} if version else None,
            http_client=open_client(verify=options.verify, extra=place.extra),
        )
    return SdkWire(client, status_error=anthropic.APIStatusError, sdk_error=anthropic.AnthropicError)
