"""`misalign-eval providers`."""

from typing import TYPE_CHECKING, Annotated

import typer

from misalign_eval.cli.output import check_format, emit

if TYPE_CHECKING:
    from misalign_eval.plugins import ServerPreset
    from misalign_eval.providers.capability_check import CapabilityResult
    from misalign_eval.records.protocols import ModelSpec


app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="The adapters to model servers: list, show, check.")
FORMATS = ("text", "json")
LIST_FORMATS = (*FORMATS, "markdown")
FormatOption = Annotated[str, typer.Option("--format", help="What to print: text or json.")]


@app.command("list")
def list_(
    fmt: Annotated[str, typer.Option("--format", help="What to print: text, json or markdown.")] = "text",
) -> None:
    """List the providers, and those that continue a prefill."""
    check_format(LIST_FORMATS, fmt)
    from misalign_eval import plugins
    from misalign_eval.cli.output import listed

    known = [_described(name) for name in plugins.names("providers")]
    rows = [(entry["name"], entry["about"]) for entry in known]
    html = ", ".join(entry["name"] for entry in known if entry["prefill"] and not entry["prefill"].startswith("no"))
    last = f"An assistant turn at the end of a conversation (prefill) is continued by: {html}.\n"
    renderers = {"text": lambda: listed(rows) + last, "json": lambda: _json(known), "markdown": _markdown}
    emit(renderers, fmt, ())


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A provider, as `providers list` shows them.")],
    fmt: FormatOption = "text",
) -> None:
    """Show where a provider sends requests, with which key, and what `options:` it takes."""
    check_format(FORMATS, fmt)
    from misalign_eval import plugins

    plugins.load("providers", name)
    entry = _described(name)
    lines = [f"{key.replace('_', ' ')}: {value}" for key, value in entry.items() if value]
    emit({"text": lambda: "\n".join(lines) + "\n", "json": lambda: _json(entry)}, fmt, ())


@app.command()
def check(
    model: Annotated[str, typer.Argument(help="provider/model, or a name in misalign-eval.yaml.")],
    base_url: Annotated[str | None, typer.Option(help="Address of the server, as https://HOST/v1.")] = None,
    api_key_env: Annotated[str | None, typer.Option(help="Name of the environment variable with the key.")] = None,
    fmt: FormatOption = "text",
) -> None:
    """Ask a model one small question: is it there, what does it take, will it go. Sends two or three requests."""
    check_format(FORMATS, fmt)
    from pathlib import Path

    from misalign_eval.cli.options import print_settings
    from misalign_eval.errors import RunStoppedError
    from misalign_eval.settings import load_settings, resolve
    from misalign_eval.workflows.options import TargetAddress

    settings = load_settings(Path.cwd())
    spec = resolve(model, settings, base_url=base_url, api_key_env=api_key_env)
    print_settings(settings, [model], TargetAddress(base_url, api_key_env), "targets")
    host, found = _check(spec)
    emit({"text": lambda: _report(spec, host, found), "json": lambda: _json(_facts(spec, host, found))}, fmt, ())
    if found.fault is not None:
        raise RunStoppedError(f"{spec.name}: {found.fault.message}")


def _check(spec: "ModelSpec") -> "tuple[str, CapabilityResult]":
    """The host as requests left for it, and what came of them."""
    import asyncio

    from misalign_eval import plugins
    from misalign_eval.providers.capability_check import check_capabilities

    async def go() -> "tuple[str, CapabilityResult]":
        provider = plugins.load("providers", spec.provider)(spec)
        try:
            return provider.host, await check_capabilities(provider)
        finally:
            await provider.close()

    return asyncio.run(go())


def _facts(spec: "ModelSpec", host: str, result: "CapabilityResult") -> dict[str, object]:
    from dataclasses import asdict

    response = result.response
    return {
        "model": spec.name,
        "host": host,
        "headers": [header.name for header in spec.headers],
        "reachable": result.facts.reachable,
        "detail": result.facts.detail,
        "shutdown_date": result.facts.shutdown_date,
        "capabilities": asdict(result.capabilities),
        "answered": response is not None,
        "answering_model": response.model if response else None,
        "dropped": list(response.dropped) if response else [],
        "fault": {"reason": result.fault.reason, "message": result.fault.message} if result.fault else None,
    }


def _report(spec: "ModelSpec", host: str, result: "CapabilityResult") -> str:
    from misalign_eval.reports.escape import one_line

    facts = _facts(spec, host, result)
    taken = facts["capabilities"]
    rows = [("model", spec.name), ("host", host or "none"), ("server", result.facts.detail)]
    if spec.headers:
        rows.append(("headers", ", ".join(header.name for header in spec.headers)))
    if result.response is not None:
        rows.append(("answer", f"{result.response.choices[0].text[:60]!r} by {result.response.model or spec.model}"))
        rows.append(("left out", ", ".join(result.response.dropped) or "nothing"))
    if isinstance(taken, dict):
        rows += [(name.replace("_", " "), _word(value)) for name, value in taken.items()]
    if result.facts.shutdown_date:
        rows.append(("warning", f"this model will be (or was) shut down on {result.facts.shutdown_date}"))
    return "".join(f"{name:<12} {one_line(value, 200)}\n" for name, value in rows)


def _word(value: bool | None) -> str:
    return {True: "yes", False: "no", None: "not known"}[value]


def _described(name: str) -> dict[str, str]:
    """What the table of providers says of one of them."""
    from misalign_eval import plugins
    from misalign_eval.providers.prefill import described

    entry, prefill = plugins.provider_entry(name), described(name)
    server = entry.server
    if server is None:
        return {"name": name, "about": entry.about, "prefill": prefill, "headers": "none", "options": _options(name)}
    return {
        "name": name,
        "about": entry.about,
        "base_url": server.url or "must be given",
        "base_url_variable": server.base_variable,
        "key_variable": " or ".join(server.key_variables) or "only by --api-key-env",
        "key_sent_to": ", ".join(server.domains) or "the given address",
        "prefill": prefill,
        "headers": "extra ones by `headers:` in misalign-eval.yaml",
        "options": _options(name),
    }


def _markdown() -> str:
    """The table of providers in the README."""
    from misalign_eval import plugins

    rows = ["| provider | for | key |", "|---|---|---|"]
    for name in plugins.names("providers"):
        entry = plugins.provider_entry(name)
        rows.append(f"| `{name}` | {entry.about} | {_key(entry.server)} |")
    return "\n".join(rows) + "\n"


def _key(server: "ServerPreset | None") -> str:
    if server is None:
        return "none"
    variables = " or ".join(f"`{variable}`" for variable in server.key_variables) or "`--api-key-env`"
    return variables if server.needs_key else f"none, or {variables}"


def _options(name: str) -> str:
    """The options that the provider's module declares, without importing any SDK."""
    from importlib import import_module

    from misalign_eval import plugins
    from misalign_eval.records.base import Record

    if name not in plugins.PROVIDERS:
        return ""
    module = import_module(plugins.PROVIDERS[name].create.partition(":")[0])
    declared = [value for key, value in vars(module).items() if key.endswith("Options") and issubclass(value, Record)]
    return ", ".join(dict.fromkeys(field for record in declared for field in record.model_fields))


def _json(value: object) -> str:
    import json

    return json.dumps(value, indent=2) + "\n"
