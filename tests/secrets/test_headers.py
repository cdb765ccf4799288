"""Extra request headers: they reach the server that they are written for, and what they hold reaches nothing else."""

import json
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from misalign_eval import plugins
from misalign_eval.records.headers import Header, looks_secret, written
from tests.hostile.typing_in import Ended, command
from tests.secrets.leaks import KEY, SUITE, search

Asked = tuple[str, dict[str, str]]  # model, and headers by their names in small letters
SETTINGS = "misalign-eval.yaml"
TOKEN = KEY.rstrip("=")
BODY = 'body: {model: "{model}", messages: "{messages}"}'
HTTP = f"options: {{path: /chat/completions, {BODY}, reply: choices.0.message.content}}"
OVER_HTTP = sorted(name for name, entry in plugins.PROVIDERS.items() if entry.server is not None)


class Server(ThreadingHTTPServer):
    """A chat server that remembers headers and repeats them in every way; `status` is what it answers with."""

    daemon_threads = True

    def __init__(self, status: int, elsewhere: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[Asked] = []
        self.status = status
        self.elsewhere = elsewhere

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{self.root}/v1"

    def of(self, model: str) -> list[dict[str, str]]:
        return [headers for name, headers in self.asked if name == model]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self._keep("GET")
        self._send({"data": [{"id": self.headers.get("x-secret", "m")}]}, 200)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self._keep(body["model"])
        if self.server.status == 200:
            self._send(_answer(body["model"], dict(self.headers), is_claude=self.path.endswith("/messages")), 200)
        else:
            self._send(
                {"error": {"message": f"no: {self.headers['x-secret']} {dict(self.headers)}"}}, self.server.status
            )

    def _keep(self, model: str) -> None:
        self.server.asked.append((model, {name.lower(): value for name, value in self.headers.items()}))

    def _send(self, payload: dict[str, Any], status: int) -> None:
        content = json.dumps(payload).encode()
        self.send_response(status)
        told = {"content-type": "application/json", "content-length": str(len(content))}
        for name, value in {**told, "x-request-id": self.headers.get("x-secret", "r")}.items():
            self.send_header(name, value)
        self.send_header("set-cookie", f"repeated={self.headers.get('x-secret', 'r')}; Path=/")
        if status == 307:
            self.send_header("location", self.server.elsewhere)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


def _answer(model: str, headers: dict[str, str], *, is_claude: bool) -> dict[str, Any]:
    pieces = [value.partition(" ")[2] or value for value in headers.values()]
    text = "It is fine.\n\nANSWER: 1" if "judge" in model else f"I repeat {json.dumps(headers)} {pieces}"
    if is_claude:
        return {"id": "m", "type": "message", "role": "assistant", "model": model, "stop_reason": "end_turn",
                "stop_sequence": None, "content": [{"type": "text", "text": text}], "usage": {}}  # fmt: skip
    message = {"role": "assistant", "content": text, "reasoning_content": json.dumps(headers)}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    usage = {"prompt_tokens": 1, "completion_tokens": 1}
    return {"id": headers.get("X-Secret"), "model": model, "choices": [choice], "usage": usage}


@contextmanager
def serving(status: int = 200, elsewhere: str = "") -> Iterator[Server]:
    server = Server(status, elsewhere)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "s.yaml").write_text(SUITE)
    return tmp_path


def settings(folder: Path, target: str, judge: str = "model: embedded/judge") -> None:
    """A target `it` and a judge `other`; the target's headers stand in line 5 if it has two lines before them."""
    text = f"targets:\n  it:\n    {target}\njudges:\n  other:\n    {judge}\n"
    (folder / SETTINGS).write_text(text, encoding="utf-8")


def model(provider: str, address: str, headers: str, name: str = "m") -> str:
    """A model of the settings file, with its headers in its third line."""
    at = address.removesuffix("/v1") if provider == "anthropic" else address
    more = f"\n    {HTTP}" if provider == "http" else ""
    return f"model: {provider}/{name}\n    base_url: {at}\n    headers: {headers}{more}"


def judging(server: Server) -> str:
    """A judge without headers at this server."""
    return model("vllm", server.url, "{}", "judge")


def run(folder: Path, *more: str, **variables: str) -> Ended:
    line = ["run", "s.yaml", "--target", "it", "--judge", "other", "--out", "r", "--limit", "1"]
    return command(folder, *line, *more, env=variables)


def flat(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("provider", OVER_HTTP)
def test_every_http_provider_sends_the_headers_of_targets_and_of_judges(
    folder: Path, server: Server, provider: str
) -> None:
    settings(
        folder,
        model(provider, server.url, "{X-Team: safét, X-Secret: {env: HUSH}, User-Agent: lab/1}"),
        model(provider, server.url, "{X-Judge: {env: HUSH_TOO}}", "judge"),
    )
    ended = run(folder, HUSH=TOKEN, HUSH_TOO="another-secret-123")
    assert ended.code == 0, ended.err
    for headers in server.of("m"):
        assert headers["x-team"] == "safét"
        assert (headers["x-secret"], headers["user-agent"]) == (TOKEN, "lab/1")
        assert "x-judge" not in headers
    for headers in server.of("judge"):
        assert headers["x-judge"] == "another-secret-123"
        assert not {"x-team", "x-secret"} & headers.keys()
    assert server.of("m")
    assert server.of("judge")


@pytest.mark.parametrize("provider", ["openai-compatible", "openai", "anthropic", "http"])
def test_two_hosts_that_share_a_pool_get_their_own_headers_alone(folder: Path, provider: str) -> None:
    with serving() as first, serving() as second:
        settings(
            folder,
            model(provider, first.url, "{X-First: {env: HUSH}}"),
            model(provider, second.url, "{X-Second: b}", "judge"),
        )
        assert run(folder, "--max-connections", "2", HUSH=TOKEN).code == 0
        assert first.asked
        assert second.asked
        assert all("x-first" in item and "x-second" not in item for _, item in first.asked)
        assert all("x-second" in item and "x-first" not in item for _, item in second.asked)


@pytest.mark.parametrize("provider", ["openai-compatible", "openai"])
def test_a_cookie_of_one_server_goes_to_no_other_port_of_its_host(folder: Path, provider: str) -> None:
    with serving() as first, serving() as second:
        target = model(provider, first.url, "{X-Secret: {env: HUSH}}")
        settings(folder, target, model(provider, second.url, "{}", "judge"))
        assert run(folder, "--max-connections", "1", HUSH=TOKEN).code == 0
        assert {"cookie" in headers for _, headers in (*first.asked, *second.asked)} == {False}


def test_a_cookie_of_the_settings_is_sent_whatever_the_server_sets(folder: Path, server: Server) -> None:
    settings(folder, model("vllm", server.url, "{Cookie: {env: OURS}}"), judging(server))
    assert run(folder, OURS="mine=1").code == 0
    assert {headers["cookie"] for headers in server.of("m")} == {"mine=1"}


@pytest.mark.parametrize("provider", ["openai-compatible", "openai", "anthropic", "http"])
def test_a_redirect_carries_no_header_away(folder: Path, provider: str) -> None:
    with serving() as elsewhere, serving(307, f"{elsewhere.url}/chat/completions") as first:
        settings(folder, model(provider, first.url, "{X-Secret: {env: HUSH}}"))
        ended = run(folder, HUSH=TOKEN)
        assert (ended.code, len(first.asked) > 0, elsewhere.asked) == (4, True, [])
        assert search(folder, [ended], TOKEN).found == []


@pytest.mark.slow
@pytest.mark.parametrize("status", [200, 400, 401])
@pytest.mark.parametrize("provider", ["openai-compatible", "openai", "anthropic", "http"])
def test_a_secret_that_the_server_repeats_is_in_no_file_and_no_stream(folder: Path, provider: str, status: int) -> None:
    (folder / ".env").write_text(f"HUSH='{TOKEN}'\nBEARER='Token {TOKEN}x'\n")
    with serving(status) as server:
        target = model(provider, server.url, "{X-Secret: {env: HUSH}, Proxy-Authorization: {env: BEARER}}")
        settings(folder, target, model(provider, server.url, "{X-Secret: {env: HUSH}}", "judge"))
        lines = ("providers check it", "doctor", "doctor --reach", "show r", "show r --format json",
                 "report r -o r.html -o r.md -o r.json", "export r -o x.csv -o x.eval -o x.jsonl",
                 "calibrate misalignment --judge other", "regrade r --judge other")  # fmt: skip
        done = [run(folder, "--timeout", "1"), run(folder, "--resume", "--dry-run", "--timeout", "1")]
        done += [command(folder, *line.split()) for line in lines]
        assert {headers["x-secret"] for _, headers in server.asked} == {TOKEN}
    found = search(folder, done, TOKEN)
    assert found.found == []
    assert found.blotted > 3
    assert 70 not in {ended.code for ended in done}


@pytest.mark.parametrize(
    "value, repeated",
    [
        ("Bearer abcdefgh-12345", "abcdefgh-12345"),
        (f"Basic {b64encode(b'user:pass-word-77').decode()}", "pass-word-77"),
        ("session=0123456789abcd; theme=dark", "0123456789abcd"),
    ],
)
def test_a_part_that_is_a_secret_by_itself_is_blotted_out_too(
    folder: Path, scripted_echo: Callable[[str], Server], value: str, repeated: str
) -> None:
    server = scripted_echo(repeated)
    settings(folder, model("vllm", server.url, "{Authorization: {env: HUSH}}"), judging(server))
    ended = run(folder, HUSH=value)
    assert ended.code == 0, ended.err
    text = "".join(file.read_text(encoding="utf-8") for file in (folder / "r").rglob("*.jsonl"))
    assert "It is [key]!" in text
    assert repeated not in text + ended.out + ended.err


@pytest.fixture
def scripted_echo(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Server]]:
    with serving() as server:

        def make(text: str) -> Server:
            def answer(name: str, *_: object, **__: object) -> dict[str, Any]:
                said = "ANSWER: 1" if "judge" in name else f"It is {text}!"
                message = {"role": "assistant", "content": said}
                return {"id": "x", "model": name, "choices": [{"finish_reason": "stop", "message": message}]}

            monkeypatch.setattr(f"{__name__}._answer", answer)
            return server

        yield make


@pytest.mark.parametrize("provider", ["openai-compatible", "openai", "anthropic", "http"])
def test_a_variable_that_is_not_set_ends_before_any_request_with_the_line_that_names_it(
    folder: Path, server: Server, provider: str
) -> None:
    settings(folder, model(provider, server.url, "{X-Secret: {env: NO_SUCH_ONE}}"))
    for line in ("run s.yaml --target it --judge other --out r", "providers check it"):
        ended = command(folder, *line.split())
        assert ended.code == 2
        assert f"{SETTINGS}:5: {provider}/m: header `X-Secret` is read from NO_SUCH_ONE, which is not set" in flat(
            ended.err
        )
    assert (server.asked, (folder / "r").exists()) == ([], False)


@pytest.mark.slow
@pytest.mark.parametrize("line", ["calibrate misalignment --judge other", "regrade r --judge other"])
def test_so_does_one_of_a_judge_in_every_command_that_asks_judges(folder: Path, server: Server, line: str) -> None:
    settings(folder, model("vllm", server.url, "{}"), model("vllm", server.url, "{X-Secret: {env: HUSH}}", "judge"))
    assert run(folder, HUSH=TOKEN).code == 0
    before = len(server.asked)
    ended = command(folder, *line.split())
    assert (ended.code, f"{SETTINGS}:10: vllm/judge: header `X-Secret` is read from HUSH" in flat(ended.err)) == (
        2,
        True,
    )
    assert len(server.asked) == before
    assert command(folder, *line.split(), env={"HUSH": TOKEN}).code == 0
    assert {headers["x-secret"] for headers in server.of("judge")} == {TOKEN}


@pytest.mark.parametrize("value", ["two\nlines-of-it", "clé-secrète", "bell\x07-0123456"])
def test_a_variable_that_holds_what_no_header_can_carry_is_refused_unrepeated(folder: Path, value: str) -> None:
    settings(folder, model("vllm", "http://127.0.0.1:9/v1", "{X-Secret: {env: HUSH}}"))
    ended = run(folder, HUSH=value)
    assert (ended.code, "header `X-Secret` is read from HUSH, which holds" in flat(ended.err)) == (2, True)
    assert value[-6:] not in ended.err


@pytest.mark.parametrize(
    "headers, said",
    [
        ("{Authorization: Bearer xyz}", "a header that may be a secret cannot stand in this file"),
        ("{authorization: plain-words}", "write `{env: NAME_OF_THE_VARIABLE}`"),
        ("{X-Api-Key: plain-words}", "a header that may be a secret"),
        ("{api-key: 123456}", "a header that may be a secret"),
        ("{Cookie: a=plain-words}", "a header that may be a secret"),
        ("{Proxy-Authorization: plain-words}", "a header that may be a secret"),
        ("{X-Auth-Token: plain-words}", "a header that may be a secret"),
        ("{CF-Access-Client-Secret: plain-words}", "a header that may be a secret"),
        ("{Ocp-Apim-Subscription-Key: plain-words}", "a header that may be a secret"),
        ("{X-Note: Bearer plain-words}", "a header that may be a secret"),
        ("{X-Note: sk-0123456789abcdefghij}", "a header that may be a secret"),
        (f"{{X-Note: {{env: '{KEY}'}}}}", "`env` takes the name of an environment variable"),
        ("{X-Note: {env: gsk_Abcdef1234567890Ghijkl}}", "`env` takes the name of an environment variable"),
        ("{X-Note: {env: ''}}", "names no environment variable"),
        ("{X-Note: {env: A, plain-words: b}}", "unknown field"),
        ("{X-Note: 5}", "should be text or a mapping of keys to values"),
        ("{X-Note: [a]}", "should be text or a mapping of keys to values"),
        ("{X-Note: }", "but nothing is written here"),
        ("{X-Note: ''}", "the value is empty"),
        ("{X-Note: ' a'}", "begins or ends with white space"),
        ('{X-Note: "a\\r\\nX-Other: b"}', "holds a line break"),
        ('{X-Note: "a\\0b"}', "holds a line break, another control character"),
        ("{X-Note: ☃}", "outside Latin-1"),
        ('{"": a}', "the name of a header is empty"),
        ("{X Note: a}", "no name of a header"),
        ('{"X:": a}', "no name of a header"),
        ('{"X\\r\\nY": a}', "no name of a header"),
        ("{Ä: a}", "no name of a header"),
        ("{X-A: a, x-a: b}", "the same header as `X-A`"),
        ("{Host: a}", "set for each request by the program itself. `base_url` says where requests go"),
        ("{content-length: '5'}", "set for each request by the program itself"),
        ("{Transfer-Encoding: chunked}", "set for each request by the program itself"),
        ("{CONNECTION: close}", "set for each request by the program itself"),
        ("{Content-Type: text/plain}", "set for each request by the program itself"),
        ("{Accept-Encoding: br}", "set for each request by the program itself"),
        ("{X-Stainless-Lang: c}", "set for each request by the program itself"),
        ("{Idempotency-Key: {env: A}}", "may repeat its first answer to each"),
        ("[X-A]", "should be a mapping of keys to values"),
    ],
)
def test_a_header_that_cannot_be_sent_is_refused_with_its_line_and_unrepeated(
    folder: Path, headers: str, said: str
) -> None:
    settings(folder, model("openai-compatible", "http://127.0.0.1:9/v1", headers))
    ended = run(folder, "--dry-run")
    assert ended.code == 2, ended.err
    assert f"{SETTINGS}:5: targets.it.headers" in ended.err
    assert said in flat(ended.err)
    assert "plain-words:" in headers or "plain-words" not in ended.err
    assert search(folder.parent / "nothing", [ended]).found == []
    assert "gsk_" not in ended.err


@pytest.mark.parametrize("name", ["X-Author", "X-Team", "X-Max-Tokens", "anthropic-beta", "OpenAI-Organization"])
def test_names_that_hold_no_secret_take_plain_values(name: str) -> None:
    assert not looks_secret(name)


@pytest.mark.parametrize("provider", ["command/cat", "replay/r", "embedded/aligned"])
def test_a_provider_without_http_refuses_headers_by_its_name(folder: Path, provider: str) -> None:
    settings(folder, f"model: {provider}\n    headers: {{X-A: b}}")
    ended = run(folder, "--dry-run")
    wanted = f"{SETTINGS}:4: targets.it.headers: provider `{provider.partition('/')[0]}` takes no `headers:`"
    assert (ended.code, wanted in flat(ended.err)) == (2, True)


def test_an_adapter_of_another_package_refuses_them_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("mine", "somewhere:create", "misalign_eval.providers")
    monkeypatch.setattr(plugins, "_installed", lambda _: (point,))
    settings(folder, "model: mine/x\n    headers: {X-A: b}")
    ended = run(folder, "--dry-run")
    assert (ended.code, "provider `mine` takes no `headers:`. Only built-in ones do" in flat(ended.err)) == (2, True)


@pytest.mark.parametrize(
    "provider, header",
    [("openai-compatible", "authorization"), ("openai", "Authorization"), ("anthropic", "X-Api-Key")],
)
@pytest.mark.parametrize("is_named", [True, False])
def test_the_header_that_carries_the_key_is_refused_beside_a_key(
    folder: Path, server: Server, provider: str, header: str, is_named: bool
) -> None:
    named = "\n    api_key_env: MY_KEY" if is_named else ""
    settings(folder, model(provider, server.url, f"{{{header}: {{env: HUSH}}}}") + named)
    more = [] if is_named else ["--api-key-env", "MY_KEY"]
    ended = run(folder, *more, HUSH=TOKEN, MY_KEY="12345678")
    assert (ended.code, f"{SETTINGS}:5: " in ended.err, server.asked) == (2, True, [])
    assert header in ended.err
    assert "key" in ended.err


@pytest.mark.slow
def test_the_version_of_claudes_api_is_an_option(folder: Path) -> None:
    settings(folder, model("anthropic", "http://127.0.0.1:9", "{Anthropic-Version: '2023-06-01'}"))
    assert "Write `options: {anthropic_version: …}`" in flat(run(folder, "--dry-run").err)


@pytest.mark.parametrize("name", ["content-type", "a b", "é"])
def test_a_header_for_the_key_that_cannot_carry_one_is_refused(folder: Path, name: str) -> None:
    target = model("http", "http://127.0.0.1:9/v1", "{}").replace("options: {", f"options: {{auth_header: '{name}', ")
    settings(folder, target)
    ended = run(folder)
    assert (ended.code, "option `auth_header`" in ended.err) == (2, True)


def test_what_is_sent_is_told_before_the_first_request_by_name(folder: Path) -> None:
    headers = "{X-Team: safety, X-Secret: {env: HUSH}}"
    settings(
        folder, model("vllm", "http://127.0.0.1:9/v1", headers), model("vllm", "http://127.0.0.1:9/v1", "{X-J: j}")
    )
    ended = run(folder, "--dry-run", HUSH=TOKEN)
    assert "with headers X-Team, X-Secret from HUSH" in flat(ended.err)
    assert "headers to the target: X-Team, X-Secret" in flat(ended.out)
    assert "headers to judge vllm/m: X-J" in flat(ended.out)
    assert "safety" not in ended.out + ended.err
    plan = json.loads(run(folder, "--dry-run", "--format", "json").out)
    plan = plan[0] if isinstance(plan, list) else plan
    assert (plan["target_headers"], plan["judge_headers"]) == (["X-Team", "X-Secret"], {"vllm/m": ["X-J"]})


def test_doctor_and_providers_check_name_headers_and_what_is_missing(folder: Path, server: Server) -> None:
    settings(folder, model("vllm", server.url, "{X-Team: safety, X-Secret: {env: HUSH}}"))
    said = flat(command(folder, "doctor").out)
    assert f"target it: header X-Secret HUSH (not set) ({SETTINGS}:5)" in said
    assert f"target it: header X-Team a plain value ({SETTINGS}:5)" in said
    assert "header-unsendable" in said
    assert "header-unsendable" not in command(folder, "doctor", env={"HUSH": TOKEN}).out
    checked = command(folder, "providers", "check", "it", "--format", "json", env={"HUSH": TOKEN})
    assert json.loads(checked.out)["headers"] == ["X-Team", "X-Secret"]
    assert "headers X-Team, X-Secret" in flat(command(folder, "providers", "check", "it", env={"HUSH": TOKEN}).out)


def test_run_json_keeps_names_and_no_value(folder: Path, server: Server) -> None:
    settings(folder, model("vllm", server.url, "{X-Team: safety-lab, X-Secret: {env: HUSH}}"), judging(server))
    assert run(folder, HUSH=TOKEN).code == 0
    target = json.loads((folder / "r" / "run.json").read_text())["target"]
    kept = target["headers"]
    assert (kept["names"], kept["variables"]) == (["x-secret", "x-team"], {"x-secret": "HUSH"})
    assert len(kept["digest"]) == 16
    assert "safety-lab" not in (folder / "r" / "run.json").read_text()


@pytest.mark.slow
def test_a_run_goes_on_with_the_headers_that_it_began_with_alone(folder: Path, server: Server) -> None:
    def goes_on(headers: str, **variables: str) -> Ended:
        settings(folder, model("vllm", server.url, headers), judging(server))
        return run(folder, "--resume", **variables)

    assert goes_on("{X-A: a, X-Secret: {env: HUSH}}", HUSH=TOKEN).code == 0
    assert goes_on("{x-secret: {env: HUSH}, x-a: a}", HUSH="another-secret-1").code == 0  # order, case, a new secret
    for other in ("{X-A: b, X-Secret: {env: HUSH}}", "{X-A: a}", "{X-A: a, X-Secret: {env: TOO}}", "{}"):
        ended = goes_on(other, HUSH=TOKEN, TOO=TOKEN)
        assert (ended.code, "the request headers of the target" in flat(ended.err)) == (2, True)


@pytest.mark.slow
def test_a_judge_with_other_headers_is_another_judge(folder: Path, server: Server) -> None:
    def graded(headers: str, line: str) -> Ended:
        settings(folder, model("vllm", server.url, "{}"), model("vllm", server.url, headers, "judge"))
        return command(folder, *line.split(), env={"HUSH": TOKEN})

    assert graded("{}", "run s.yaml --target it --judge other --out r --limit 1").code == 0
    assert graded("{X-A: a, X-Secret: {env: HUSH}}", "regrade r --judge other").code == 0
    kept = [
        json.loads(file.read_text())["settings"].get("headers") for file in (folder / "r" / "grades").glob("*.json")
    ]
    assert sorted(item["names"] for item in kept if item) == [["x-a", "x-secret"]]
    assert len(kept) == 2


def test_the_secret_of_a_header_is_refused_in_a_flag(folder: Path) -> None:
    settings(folder, model("vllm", "http://127.0.0.1:9/v1", "{X-Secret: {env: HUSH}}"))
    ended = run(folder, "--label", f"k={TOKEN}", HUSH=TOKEN)
    assert (ended.code, "--label holds the key of HUSH" in ended.err) == (2, True)
    assert search(folder, [ended], TOKEN).found == []


def test_a_key_of_the_environment_is_refused_as_a_plain_value(folder: Path) -> None:
    settings(folder, model("vllm", "http://127.0.0.1:9/v1", "{X-Note: plain-words-1}"))
    ended = run(folder, MY_API_KEY="plain-words-1")
    assert (ended.code, "header `X-Note` holds the key of MY_API_KEY" in flat(ended.err)) == (2, True)
    assert "plain-words" not in ended.err


def test_headers_of_a_target_that_judges_go_with_it(folder: Path, server: Server) -> None:
    settings(folder, model("vllm", server.url, "{X-A: a}", "judge"))
    line = "run s.yaml --target it --judge it --out r --limit 1"
    assert command(folder, *line.split()).code == 0
    assert {headers["x-a"] for headers in server.of("judge")} == {"a"}
    assert "x-a" in "".join(file.read_text() for file in (folder / "r" / "grades").glob("*.json"))


def test_case_and_order_of_headers_mean_nothing_and_values_do() -> None:
    one = [Header("X-A", "a"), Header("X-B", variable="B")]
    assert written(one) == written([Header("x-b", variable="B"), Header("x-a", "a")])
    assert written(one) != written([Header("X-A", "b"), Header("X-B", variable="B")])
    assert written([]) is None
