"""What tests of several stages share."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: more threads make its small matrices slower


@pytest.fixture(scope="session")
def llmock_url() -> Iterator[str]:
    """Root of llmock, an independent server of the vendors' APIs: `/v1` speaks OpenAI, `/anthropic` Anthropic."""
    yield from _llmock()


@pytest.fixture(scope="session")
def quota_url() -> Iterator[str]:
    """Another llmock, with a real quota: 60 requests at once, then one a second."""
    yield from _llmock("--rpm", "60")


def _llmock(*options: str) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = [sys.executable, "-m", "llmock.cli", "serve", "-h", "127.0.0.1", "-p", str(port), "--log-level", "error"]
    quiet = {"NO_COLOR": "1", **os.environ}
    sink = subprocess.DEVNULL
    server = subprocess.Popen([*program, *options], stdout=sink, stderr=sink, env=quiet)
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(url, server)
        yield url
    finally:
        server.terminate()
        server.wait(timeout=20)


def _wait_until_ready(url: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise RuntimeError(f"llmock ended with status {server.returncode}")
        try:
            with urllib.request.urlopen(f"{url}/_llmock/requests", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise TimeoutError("llmock did not become ready")
