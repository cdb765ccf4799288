"""`doctor` without a run: machine, settings and keys. Shows the names of keys, never their values."""

import asyncio
import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from misalign_eval import __version__, plugins
from misalign_eval.errors import InputError, MisalignEvalError, UsageError
from misalign_eval.plugins import ServerPreset
from misalign_eval.providers.endpoints import locate_address
from misalign_eval.providers.keys import environment, read_headers, read_key
from misalign_eval.records.findings import Diagnosis, Finding, Level, LintFact, diagnosis
from misalign_eval.records.protocols import ModelSpec
from misalign_eval.settings import FILE_NAME, NamedModel, Role, Settings, load_settings, resolve
from misalign_eval.workflows.options import RequestLimits

PACKAGES = (
    "openai",
    "anthropic",
    "httpx2",
    "pydantic",
    "numpy",
    "pyyaml",
    "rich",
    "tenacity",
    "typer",
    "python-dotenv",
)
EXTRAS = {
    "bandit": "code",
    "jsonschema": "schema",
    "pyarrow": "parquet",
    "torch": "organism",
    "transformers": "organism",
}
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
TERMINAL = ("TERM", "COLUMNS", "NO_COLOR", "FORCE_COLOR")
ROLES: tuple[Role, ...] = ("targets", "judges")
REACH_S = 15.0
OPEN = 0o077


def examine(start: Path, *, reach: bool) -> Diagnosis:
    """Look at everything that a run started in this folder would find. With `reach`, also ask each named server."""
    found = _Environment(start)
    facts = [*found.program(), *found.files(), *found.keys(), *found.network(), *found.terminal(), *found.settings()]
    if reach:
        facts += asyncio.run(found.reached())
    return diagnosis("environment", facts, found.findings)


class _Environment:
    def __init__(self, start: Path) -> None:
        self._start = start.resolve()
        self._known = environment(start)
        self._dotenv = self._nearest(".env")
        self._file = self._nearest(FILE_NAME)
        self.findings: list[Finding] = []
        self._settings = self._read_settings()

    def _nearest(self, name: str) -> Path | None:
        places = (self._start, *self._start.parents)
        return next((place / name for place in places if (place / name).is_file()), None)

    def _read_settings(self) -> Settings:
        try:
            return load_settings(self._start)
        except InputError as error:
            for problem in error.problems:
                self._complain(
                    "settings", "error", str(problem), "Every command that reads settings ends here: mend it."
                )
            return Settings()

    def _complain(self, identity: str, level: Level, text: str, advice: str) -> None:
        self.findings.append(Finding(id=identity, level=level, text=text, advice=advice))

    def program(self) -> Iterator[LintFact]:
        """Versions of all that takes part."""
        yield LintFact(section="program", name="misalign-eval", value=__version__)
        yield LintFact(section="program", name="python", value=platform.python_version(), source=sys.executable)
        yield LintFact(
            section="program", name="system", value=f"{platform.system()} {platform.release()} {platform.machine()}"
        )
        for name in PACKAGES:
            installed = _version(name)
            yield LintFact(section="program", name=name, value=installed or "not installed")
            if installed is None:
                self._complain("package", "error", f"package {name} is not installed", "Install misalign-eval again.")
        for name, extra in EXTRAS.items():
            absent = f"not installed (extra `{extra}`)"
            yield LintFact(section="program", name=name, value=_version(name) or absent)

    def files(self) -> Iterator[LintFact]:
        """Which files are found from here."""
        for name, file in ((FILE_NAME, self._file), (".env", self._dotenv)):
            yield LintFact(section="files", name=name, value=str(file) if file else "none here or above")
        own = self._start / "graders"
        yield LintFact(section="files", name="own graders", value=str(own) if own.is_dir() else "none (./graders)")
        if self._dotenv is not None and self._dotenv.stat().st_mode & OPEN:
            text = f"{self._dotenv} can be read by others"
            self._complain("env-file-open", "warning", text, f"It holds keys: chmod 600 {self._dotenv}")

    def keys(self) -> Iterator[LintFact]:
        """Which keys are there, by the names of their variables."""
        wanted = {name for server in plugins.servers() for name in server.key_variables}
        models = [model for role in ROLES for model in self._settings.of_role(role).values()]
        named = {model.api_key_env for model in models}
        for name in sorted(wanted | {name for name in named if name}):
            if not self._known.get(name):
                yield LintFact(section="keys", name=name, value="not set")
                continue
            yield LintFact(section="keys", name=name, value="set", source=self._source(name))
            try:
                read_key(name, self._known, wanted_by="doctor")
            except UsageError as error:
                self._complain("key-malformed", "error", str(error), "Copy it again, without spaces or line ends.")
        values = [value for model in models for value in model.headers.values()]
        for name in sorted({value.env for value in values if not isinstance(value, str)} - wanted - named):
            is_set = bool(self._known.get(name))
            source = self._source(name) if is_set else None
            yield LintFact(section="keys", name=name, value="set" if is_set else "not set", source=source)

    def _source(self, variable: str) -> str:
        return "environment" if os.environ.get(variable) else str(self._dotenv)

    def network(self) -> Iterator[LintFact]:
        """Proxies and addresses from the environment, without user names, passwords and queries."""
        for name in PROXIES:
            for variable in (name, name.lower()):
                if value := os.environ.get(variable):
                    yield LintFact(section="network", name=variable, value=_bare(value), source="environment")
        for server in plugins.servers():
            if server.base_variable and (value := self._known.get(server.base_variable)):
                source = self._source(server.base_variable)
                yield LintFact(section="network", name=server.base_variable, value=_bare(value), source=source)
        for variable in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
            if value := os.environ.get(variable):
                yield LintFact(section="network", name=variable, value=value, source="environment")
        self._check_client()

    def _check_client(self) -> None:
        """Whether these proxies and certificates give a client, as every run needs one."""
        from misalign_eval.providers.transport import open_client

        try:
            open_client()
        except UsageError as error:
            self._complain("network", "error", str(error), "Every command that asks a model ends here.")

    def terminal(self) -> Iterator[LintFact]:
        """What the pages are drawn for."""
        out = sys.stdout
        yield LintFact(
            section="terminal", name="standard output", value="a terminal" if out.isatty() else "no terminal"
        )
        yield LintFact(section="terminal", name="encoding", value=out.encoding or "unknown")
        width = str(os.get_terminal_size(out.fileno()).columns) if out.isatty() else "80 unless COLUMNS says otherwise"
        yield LintFact(section="terminal", name="width", value=width)
        yield from (
            LintFact(section="terminal", name=name, value=os.environ[name], source="environment")
            for name in TERMINAL
            if name in os.environ
        )
        if not (out.encoding or "").lower().startswith("utf"):
            text = f"standard output takes {out.encoding}, not UTF-8: replies in other scripts are shown as codes"
            self._complain("not-utf8", "warning", text, "Set PYTHONUTF8=1, or a UTF-8 locale.")

    def settings(self) -> Iterator[LintFact]:
        """What commands take where their flags say nothing, and where each comes from."""
        given = self._settings.run.max_connections
        value = str(given or RequestLimits().max_connections)
        yield _setting("max connections", value, self._line("run", "max_connections") if given else "built in")
        for role in ROLES:
            for name, model in getattr(self._settings, role).items():
                yield from self._model(role, name, model)

    def _model(self, role: Role, name: str, model: NamedModel) -> Iterator[LintFact]:
        label, line = f"{role[:-1]} {name}", self._line(role, name, "model")
        yield _setting(label, model.model, line)
        spec = resolve(name, self._settings, role=role)
        server = plugins.server_of(spec.provider)
        if server is not None:
            yield from self._place(label, role, name, spec, server)
            yield from self._headers(label, spec)
        for field, value in model.sampling.model_dump(exclude_none=True).items():
            yield _setting(f"{label}: {field}", str(value), self._line(role, name, "sampling", field))

    def _place(self, label: str, role: Role, name: str, spec: ModelSpec, server: ServerPreset) -> Iterator[LintFact]:
        try:
            address = locate_address(spec).url
        except UsageError as error:
            self._complain("address", "error", f"{label}: {error}", "Give it a `base_url`.")
            return
        if spec.base_url:
            source = self._line(role, name, "base_url")
        else:
            source = server.base_variable if self._known.get(server.base_variable) else "built in"
        yield _setting(f"{label}: address", address, source)
        variable = spec.api_key_env or next(
            (variable for variable in server.key_variables if self._known.get(variable)), None
        )
        if variable is None and not server.needs_key:
            yield _setting(f"{label}: key", "none needed", "built in")
            return
        variable = variable or server.key_variables[0]
        source = self._line(role, name, "api_key_env") if spec.api_key_env else "built in"
        is_set = bool(self._known.get(variable))
        yield _setting(f"{label}: key", f"{variable} ({'set' if is_set else 'not set'})", source)
        if not is_set:
            text = f"{label} needs a key, but {variable} is not set"
            self._complain("key-missing", "warning", text, f"Put `{variable}=…` into the environment or a `.env` file.")

    def _headers(self, label: str, spec: ModelSpec) -> Iterator[LintFact]:
        """Which extra headers are sent, by name, and the variables that hold their values."""
        for header in spec.headers:
            is_set = bool(self._known.get(header.variable))
            value = f"{header.variable} ({'set' if is_set else 'not set'})" if header.variable else "a plain value"
            line = f"{FILE_NAME}:{header.place.rpartition(':')[2]}"
            yield _setting(f"{label}: header {header.name}", value, line)
        try:
            read_headers(spec, self._known, ())
        except UsageError as error:
            self._complain("header-unsendable", "warning", f"{label}: {error}", "Runs with it end before any request.")

    def _line(self, *loc: str) -> str:
        """`misalign-eval.yaml:7`."""
        from misalign_eval.yaml_source import document as yaml_document

        if self._file is None:
            return FILE_NAME
        return f"{FILE_NAME}:{yaml_document.load(self._file).line_of(loc)}"

    async def reached(self) -> list[LintFact]:
        """Ask every server that the settings name for its models. Sends one request to each."""
        named: list[ModelSpec] = []
        for role in ROLES:
            for name in getattr(self._settings, role):
                spec = resolve(name, self._settings, role=role)
                if plugins.server_of(spec.provider) and spec not in named:
                    named.append(spec)
        if not named:
            self._complain(
                "nothing-to-reach", "note", f"no server is named in {FILE_NAME}", "Name targets or judges there."
            )
        return list(await asyncio.gather(*map(self._reach, named)))

    async def _reach(self, spec: ModelSpec) -> LintFact:
        try:
            provider = plugins.load("providers", spec.provider)(spec)
        except MisalignEvalError as error:
            return LintFact(section="reach", name=spec.name, value=f"not asked: {error}")
        try:
            async with asyncio.timeout(REACH_S):
                facts = await provider.facts()
            is_reachable, detail = facts.reachable, facts.detail
        except TimeoutError:
            is_reachable, detail = False, f"no answer within {REACH_S:.0f} s"
        finally:
            await provider.close()
        if not is_reachable:
            text = f"{spec.name} at {provider.host} cannot be reached: {detail}"
            self._complain("unreachable", "error", text, "Is the server up, the address right, a proxy in the way?")
        return LintFact(section="reach", name=spec.name, value=detail, source=provider.host)


def _setting(name: str, value: str, source: str) -> LintFact:
    return LintFact(section="settings", name=name, value=value, source=source)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _bare(address: str) -> str:
    """An address, or a list of hosts, without what may be secret. A password may hold `/`, which ends none."""
    scheme, mark, rest = address.rpartition("://")
    return f"{scheme.rpartition('@')[2]}{mark}{re.split('[?#]', rest.rpartition('@')[2])[0]}"
