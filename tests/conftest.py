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


@pytest.fixture(scope="session")
def llmock_url() -> Iterator[str]:
    """Root of llmock, an independent server of the vendors' APIs: OpenAI at `/v1`, Anthropic at `/anthropic`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = [sys.executable, "-m", "llmock.cli", "serve", "-h", "127.0.0.1", "-p", str(port), "--log-level", "error"]
    quiet = {"NO_COLOR": "1", **os.environ}
    server = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=quiet)
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
            with urllib.request.urlopen(f"{url}/_llmock/requests", timeout=5):  # noqa: S310  loopback
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise TimeoutError("llmock did not become ready")
