"""To whom commands speak, how they know that it is they, and through whom."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.faults.proxies import made_certificate
from tests.hostile.server import serving
from tests.hostile.typing_in import Ended, command
from tests.secrets import echo_server
from tests.secrets.watched import ASKING, SETTINGS, SILENT, SUITE, Heard, traced

HEARD = Heard()
TRACED = ("--help", "report run", "compare run run2")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "small.yaml").write_text(SUITE)
    (tmp_path / "misalign-eval.yaml").write_text(SETTINGS)
    return tmp_path


@pytest.mark.slow
def test_commands_speak_to_the_configured_servers_and_to_nobody_else(folder: Path) -> None:
    strange: dict[str, list[str]] = {}
    with serving() as server:
        allowed = server.url.split("/")[2]
        for line in (*ASKING, ASKING[0].replace("--out run", "--out run2"), *SILENT):
            with HEARD.listening() as places:
                ended = command(folder, *line.replace("URL", server.url).split())
            assert ended.code in {0, 2, 3, 4}, ended.err
            assert bool(places) == ("URL" in line), line
            if set(places) - {allowed}:
                strange[line] = places
    assert strange == {}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_the_system_sees_no_more_than_the_interpreter(folder: Path) -> None:
    with serving() as server:
        run = ASKING[0].replace("URL", server.url)
        code, places = traced(folder, *run.split())
        assert (code, set(places)) == (0, {server.url.split("/")[2]})
    shutil.copytree(folder / "run", folder / "run2")
    assert {line: traced(folder, *line.split()) for line in TRACED} == dict.fromkeys(TRACED, (0, []))


def _run(folder: Path, url: str, **env: str) -> Ended:
    models = (
        "run small.yaml --target openai-compatible/x --base-url URL --judge openai-compatible/x --judge-base-url URL"
    )
    return command(
        folder, *models.replace("URL", url).split(), "--out", "r", "--resume", "--timeout", "2", "--quiet", env=env
    )


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return made_certificate(tmp_path_factory.mktemp("tls"))


@pytest.mark.slow
def test_a_certificate_that_nobody_vouches_for_is_refused_unless_asked(folder: Path, certificate: Path) -> None:
    with echo_server.serving(certificate) as url:
        refused = _run(folder, url)
        assert refused.code == 4
        rows = [json.loads(line) for line in (folder / "r" / "replies.jsonl").read_text().splitlines()]
        assert {row["message"][:44] for row in rows} == {"the server's TLS certificate is not trusted "}
        assert _run(folder, url, SSL_CERT_FILE=str(certificate)).code == 0
        shutil.rmtree(folder / "r")
        settings = f"targets: {{it: {{model: openai-compatible/x, base_url: '{url}', options: {{verify: false}}}}}}\n"
        (folder / "misalign-eval.yaml").write_text(settings)
        line = "run small.yaml --target it --judge it --out asked --quiet"
        assert command(folder, *line.split()).code == 0
        assert json.loads((folder / "asked" / "run.json").read_text())["target"]["options"] == {"verify": False}


class Proxy:
    """A proxy on loopback that answers in the place of the servers, and keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.url = ""


@contextmanager
def proxying() -> Iterator[Proxy]:
    proxy = Proxy()

    class Handler(echo_server._Handler):
        def do_POST(self) -> None:  # noqa: N802  http.server calls it so
            proxy.asked.append(f"POST {self.path}")
            super().do_POST()

        def do_CONNECT(self) -> None:  # noqa: N802
            proxy.asked.append(f"CONNECT {self.path}")
            self.send_error(502)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()


def test_the_proxy_of_the_environment_is_asked_and_no_name_is_looked_up(folder: Path) -> None:
    with proxying() as proxy, HEARD.listening() as places:
        assert _run(folder, "http://model.example/v1", HTTP_PROXY=proxy.url).code == 0
    assert set(proxy.asked) == {"POST http://model.example/v1/chat/completions"}
    assert set(places) == {proxy.url.removeprefix("http://")}


@pytest.mark.slow
def test_a_secure_server_is_reached_through_a_tunnel(folder: Path) -> None:
    with proxying() as proxy, HEARD.listening() as places:
        assert _run(folder, "https://model.example/v1", HTTPS_PROXY=proxy.url).code == 4
    assert set(proxy.asked) == {"CONNECT model.example:443"}
    assert set(places) == {proxy.url.removeprefix("http://")}


@pytest.mark.slow
def test_no_proxy_stands_between_hosts_that_are_excepted(folder: Path) -> None:
    with proxying() as proxy, serving() as server:
        assert _run(folder, server.url, HTTP_PROXY=proxy.url, NO_PROXY="127.0.0.1").code == 0
    assert proxy.asked == []
