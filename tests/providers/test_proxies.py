"""What a proxy's refusal means, which variable names it, and that its password is told to nobody."""

import base64

import pytest

from misalign_eval.errors import ProviderError
from misalign_eval.providers.errors import provider_error, read_error
from misalign_eval.providers.keys import Key, redact
from misalign_eval.providers.transport import (
    HttpAnswer,
    JsonObject,
    RedactingTransport,
    proxy_hint,
    proxy_keys,
    proxy_refused,
    proxy_variable,
)

ADDRESS = "http://me:p%40ss%20word%21@proxy:3128"
PASSWORD = "p@ss word!"
SENT = base64.b64encode(f"me:{PASSWORD}".encode()).decode()


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    "said, reason, retry, fatal",
    [
        ("407 Who are you?", "auth", False, True),
        ("403 Forbidden", "connection", False, True),
        ("404 ", "connection", False, True),
        ("302 Found", "connection", False, True),
        ("429 Slowly", "connection", True, False),
        ("502 Bad Gateway", "server", True, False),
        ("503 Busy", "overloaded", True, False),
        ("599 Strange", "server", True, False),
        ("Invalid username/password", "auth", False, True),
        ("Requested NO AUTH from proxy server, but got USERNAME/PASSWORD.", "auth", False, True),
        ("Proxy Server could not connect: Host unreachable.", "connection", True, False),
        ("²02 is no status", "connection", True, False),
    ],
)
def test_a_tunnel_that_is_not_opened_heals_or_does_not(said: str, reason: str, retry: bool, fatal: bool) -> None:
    fault = proxy_refused(said)
    assert (fault.reason, fault.retry, fault.fatal) == (reason, retry, fatal)


def test_the_words_of_a_proxy_about_a_tunnel_are_not_repeated() -> None:
    assert proxy_refused("502 \x1b[2J you said p@ss").message == "the proxy opens no tunnel: 502 Bad Gateway"
    assert proxy_refused("599 you said p@ss").message == "the proxy opens no tunnel: 599"


def test_a_proxy_that_wants_to_know_who_asks_ends_the_run() -> None:
    fault = provider_error(read_error(HttpAnswer(407, {}, b"Who are you?")), {})
    assert (fault.reason, fault.status, fault.retry, fault.fatal) == ("auth", 407, False, True)


@pytest.mark.parametrize(
    "variables, url, named",
    [
        ({}, "http://model/v1", None),
        ({"HTTP_PROXY": ADDRESS}, "http://model/v1", "HTTP_PROXY"),
        ({"http_proxy": ADDRESS, "HTTP_PROXY": ADDRESS}, "http://model/v1", "http_proxy"),
        ({"HTTP_PROXY": ADDRESS}, "https://model/v1", None),
        ({"HTTP_PROXY": ADDRESS, "ALL_PROXY": ADDRESS}, "https://model/v1", "ALL_PROXY"),
        ({"HTTPS_PROXY": ADDRESS, "NO_PROXY": "model,127.0.0.1"}, "https://model/v1", None),
        ({"HTTPS_PROXY": ADDRESS, "NO_PROXY": "other"}, "https://model:8000/v1", "HTTPS_PROXY"),
    ],
)
def test_the_variable_that_names_the_proxy_on_the_way_is_told(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], url: str, named: str | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_variable(url) == named
    assert (named or "no variable names one") in proxy_hint(url, 407)
    assert bool(proxy_hint(url, None)) == bool(named)
    assert PASSWORD not in proxy_hint(url, 407) + proxy_hint(url, None)


class Echo:
    """A wire whose answers and faults repeat the password of the proxy in every way."""

    async def post(self, path: str, body: JsonObject) -> HttpAnswer:
        said = f"{PASSWORD} {SENT} p%40ss%20word%21"
        return HttpAnswer(200, {"X-Request-Id": said}, said.encode())

    async def get(self, path: str) -> HttpAnswer:
        raise ProviderError("connection", f"illegal status line: Basic {SENT}", retry=True)

    async def close(self) -> None:
        pass


async def test_an_answer_that_repeats_the_password_of_a_proxy_loses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", ADDRESS)
    wire = RedactingTransport(Echo(), Key())
    answer = await wire.post("/x", {})
    assert (answer.content, dict(answer.headers)) == (b"[key] [key] [key]", {"x-request-id": "[key] [key] [key]"})
    with pytest.raises(ProviderError) as caught:
        await wire.get("/x")
    assert (caught.value.message, str(caught.value)) == ("illegal status line: Basic [key]",) * 2


def test_a_traceback_does_not_show_the_password_of_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", ADDRESS)
    assert [str(key) for key in proxy_keys()] == ["Key(ALL_PROXY)"] * 3
    assert redact(f"{ADDRESS} {PASSWORD} {SENT}") == "http://me:[key]@proxy:3128 [key] [key]"


def test_a_proxy_without_a_password_has_nothing_to_hide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    monkeypatch.setenv("HTTPS_PROXY", "me@proxy:3128")
    assert proxy_keys() == ()
