"""Where requests go and which key goes with them is settled, and complained about, before any request."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.errors import UsageError
from misalign_eval.plugins import PROVIDERS, server_of
from misalign_eval.providers.endpoints import parse_address, resolve_endpoint
from misalign_eval.providers.keys import Key, environment
from misalign_eval.records.protocols import ModelSpec


def key_variable(provider: str) -> str:
    server = server_of(provider)
    assert server is not None
    return server.key_variables[0]


@pytest.mark.parametrize(
    "text, host",
    [
        ("https://api.openai.com/v1", "api.openai.com:443"),
        ("http://LocalHost:8000/v1/", "localhost:8000"),
        ("http://[::1]:8080/v1", "[::1]:8080"),
        ("http://10.0.0.7", "10.0.0.7:80"),
    ],
)
def test_the_host_is_named_with_its_port(text: str, host: str) -> None:
    assert parse_address(text).host == host


@pytest.mark.parametrize(
    "text, complaint",
    [
        ("localhost:8000/v1", "must start with http"),
        ("ftp://host/v1", "must start with http"),
        ("http:///v1", "names no host"),
        ("http://host:port/v1", "cannot be read"),
        ("http://host/v1?api-version=3", "must end before"),
        ("http://host/v1#x", "must end before"),
        ("http://host/v1/chat/completions", "must end before `/chat/completions`"),
        ("http://ho st/v1", "space"),
        ("http://host/v1\n", "space"),
        ("https://exämple.org/v1", "no URL may hold"),
        ("", "must start with http"),
    ],
)
def test_a_wrong_base_url_is_explained(text: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        parse_address(text)


def test_a_password_in_the_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        parse_address("https://user:hunter2@host/v1")
    assert "hunter2" not in str(caught.value)
    assert "--api-key-env" in str(caught.value)


@pytest.mark.parametrize("text", ["user:hunter2@host", "ftp://user:hunter2@host", "http://host?key=hunter2"])
def test_no_complaint_repeats_what_may_be_secret(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_address(text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "provider", [name for name, entry in PROVIDERS.items() if entry.server is not None and entry.server.needs_key]
)
def test_a_missing_key_is_named_before_any_request(provider: str) -> None:
    url = "https://r.openai.azure.com/openai/v1" if provider == "azure" else None
    with pytest.raises(UsageError, match=key_variable(provider)):
        resolve_endpoint(ModelSpec(provider, "m", url))


def test_an_empty_key_is_a_missing_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "  ")
    with pytest.raises(UsageError, match="OPENAI_API_KEY is not set"):
        resolve_endpoint(ModelSpec("openai", "m"))


def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a\nb")
    with pytest.raises(UsageError) as caught:
        resolve_endpoint(ModelSpec("openai", "m"))
    assert "sk-a" not in str(caught.value)


def test_a_key_in_place_of_its_variable_is_refused_without_being_shown() -> None:
    with pytest.raises(UsageError) as caught:
        resolve_endpoint(ModelSpec("openai", "m", api_key_env="sk-secret-value"))
    assert "sk-secret" not in str(caught.value)


@pytest.mark.parametrize("provider", ["openai", "anthropic", "openrouter", "gemini", "azure"])
@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/v1",
        "http://127.0.0.1:9/v1",
        "https://api.openai.com.evil.example",
        "http://api.openai.com",
    ],
)
def test_a_vendors_key_stays_with_its_vendor(provider: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(key_variable(provider), "sk-vendors-own")
    assert not resolve_endpoint(ModelSpec(provider, "m", url)).key


def test_a_vendors_key_stays_with_its_vendor_when_the_environment_names_another_host(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-vendors-own")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://gateway.example/v1")
    endpoint = resolve_endpoint(ModelSpec("openai", "m"))
    assert (endpoint.address.host, bool(endpoint.key), endpoint.withheld) == (
        "gateway.example:443",
        False,
        "OPENAI_API_KEY",
    )


@pytest.mark.parametrize(
    "provider, url",
    [
        ("openai", None),
        ("openai", "https://eu.api.openai.com/v1"),
        ("anthropic", None),
        ("openrouter", None),
        ("azure", "https://mine.openai.azure.com/openai/v1"),
        ("vllm", "http://gpu1:8000/v1"),
    ],
)
def test_a_key_goes_to_where_it_belongs(provider: str, url: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = key_variable(provider)
    monkeypatch.setenv(variable, "sk-own")
    endpoint = resolve_endpoint(ModelSpec(provider, "m", url))
    assert (endpoint.key.variable, endpoint.key.reveal()) == (variable, "sk-own")


def test_naming_the_variable_sends_the_key_anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-own")
    spec = ModelSpec("openai-compatible", "m", "http://127.0.0.1:9/v1", "OPENAI_API_KEY")
    assert resolve_endpoint(spec).key.reveal() == "sk-own"


def test_a_compatible_server_needs_an_address_but_no_key() -> None:
    with pytest.raises(UsageError, match="--base-url"):
        resolve_endpoint(ModelSpec("openai-compatible", "m"))
    assert not resolve_endpoint(ModelSpec("openai-compatible", "m", "http://127.0.0.1:9/v1")).key


def test_a_server_known_by_name_has_its_usual_address_or_that_of_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve_endpoint(ModelSpec("ollama", "llama3:8b")).address.url == "http://127.0.0.1:11434/v1"
    monkeypatch.setenv("OLLAMA_BASE_URL", "http://box:1234/v1")
    assert resolve_endpoint(ModelSpec("ollama", "llama3:8b")).address.url == "http://box:1234/v1"


def test_the_nearest_env_file_is_read_and_the_real_environment_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("PLAIN_A=from-file\nPLAIN_B=from-file\n")
    monkeypatch.setenv("PLAIN_B", "from-environment")
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    known = environment(inner)
    assert (known["PLAIN_A"], known["PLAIN_B"]) == ("from-file", "from-environment")


def test_a_key_from_an_env_file_is_used(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=sk-from-file\n")
    assert resolve_endpoint(ModelSpec("openai", "m")).key.reveal() == "sk-from-file"


def test_a_key_shows_its_variable_only() -> None:
    key = Key("X_KEY", "sk-secret")
    assert f"{key} {key!r} {[key]}" == "Key(X_KEY) Key(X_KEY) [Key(X_KEY)]"
    assert key.scrub("you sent sk-secret!") == "you sent [key]!"


def test_requests_of_one_key_at_one_host_share_their_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-own")
    spec = ModelSpec("openai", "m")
    assert resolve_endpoint(spec).account == resolve_endpoint(replace(spec, model="other")).account
    assert resolve_endpoint(spec).account != resolve_endpoint(replace(spec, api_key_env="TEST_KEY")).account


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_the_sdks_own_variables_lead_nowhere_unseen(
    kit: Any, server: Any, provider: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The SDKs read addresses, organisations and credentials on their own; none may reach another host."""
    for name, value in (("OPENAI_API_KEY", "sk-o"), ("ANTHROPIC_API_KEY", "sk-a"), ("ANTHROPIC_AUTH_TOKEN", "sk-t")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("OPENAI_ORG_ID", "org-mine")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-mine")
    monkeypatch.setenv(f"{provider.upper()}_BASE_URL", "http://127.0.0.1:9/v1")
    harness = kit.chat(server, provider)
    server.play(kit.step(500, {}))
    kit.using(
        replace(harness.spec(), base_url=server.url, api_key_env=None),
        lambda provider: swallow(provider, kit.question()),
    )
    shown = str(server.requests[0].headers)
    assert not any(secret in shown for secret in ("sk-o", "sk-a", "sk-t", "org-mine", "proj-mine"))


async def swallow(provider: Any, request: Any) -> None:
    from misalign_eval.errors import ProviderError

    with pytest.raises(ProviderError):
        await provider.complete(request)


@pytest.mark.slow
def test_a_certificate_nobody_vouches_for_is_refused(kit: Any, tmp_path: Path) -> None:
    """TLS is checked unless the user says `verify: false`."""
    import shlex
    import ssl
    import subprocess
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            content = b'{"choices": [{"message": {"content": "Hello."}, "finish_reason": "stop"}]}'
            self.send_response(200)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  its name in the base class
            pass

    made = [
        "openssl",
        *shlex.split("req -x509 -newkey rsa:2048 -nodes -keyout k.pem -out c.pem -days 1 -subj /CN=127.0.0.1"),
    ]
    subprocess.run(made, cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    web = HTTPServer(("127.0.0.1", 0), Handler)
    web.socket = context.wrap_socket(web.socket, server_side=True)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    spec = ModelSpec("openai-compatible", "m", f"https://127.0.0.1:{web.server_port}/v1")
    try:
        from misalign_eval.errors import ProviderError

        with pytest.raises(ProviderError, match="certificate") as caught:
            kit.ask(spec, kit.question("Hi?"))
        assert (caught.value.retry, caught.value.fatal) == (False, True)
        assert kit.ask(replace(spec, options={"verify": False}), kit.question("Hi?")).choices[0].text == "Hello."
    finally:
        web.shutdown()
        web.server_close()
