"""What a server says of itself when it is asked for its list of models."""

from misalign_eval.errors import ProviderFault
from misalign_eval.providers.faults import read_error
from misalign_eval.providers.reading import as_object, as_objects, as_text
from misalign_eval.providers.shutdowns import shutdown_of
from misalign_eval.providers.wire import Answer, JsonObject, Wire, decode
from misalign_eval.records.protocols import ModelFacts, ModelSpec


async def facts_of(spec: ModelSpec, wire: Wire, path: str) -> ModelFacts:
    """Ask for the models. Never raises ProviderFault: what went wrong is the answer."""
    try:
        answer = await wire.get(path)
    except ProviderFault as fault:
        return ModelFacts(reachable=False, detail=fault.message, shutdown_date=shutdown_of(spec))
    if answer.status != 200:
        said = read_error(answer).message
        detail = f"no list of models ({answer.status}: {said})"
        return ModelFacts(reachable=True, detail=detail, shutdown_date=shutdown_of(spec))
    return _listed(spec, _models(answer))


def _models(answer: Answer) -> list[JsonObject]:
    try:
        return as_objects(as_object(decode(answer.content)).get("data"))
    except ValueError:
        return []


def _listed(spec: ModelSpec, models: list[JsonObject]) -> ModelFacts:
    by_name = {name: model for model in models if (name := as_text(model.get("id")))}
    announced = as_text(by_name.get(spec.model, {}).get("shutdown_date"))
    if not by_name:
        detail = "the server answers, but lists no models"
    elif spec.model in by_name:
        detail = f"`{spec.model}` is one of its {len(by_name)} models"
    else:
        detail = f"`{spec.model}` is not in its list of {len(by_name)} models"
    return ModelFacts(True, detail, tuple(by_name), announced or shutdown_of(spec))
