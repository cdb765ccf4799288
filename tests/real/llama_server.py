"""llama-server on loopback, started for the tests and stopped after them."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.real.tiny_model import CONTEXT, TinyModel

BINARY = "MISALIGN_EVAL_LLAMA_SERVER"
SLOTS = 4
READY_S = 60.0


@dataclass(frozen=True, slots=True)
class LlamaServer:
    """A running engine with one model."""

    model: TinyModel
    host: str
    key: str | None

    @property
    def base_url(self) -> str:
        """Of its OpenAI dialect."""
        return f"http://{self.host}/v1"

    def raw(self, path: str, body: dict[str, object]) -> dict[str, object]:
        """The engine's own answer to a request, past our client."""
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {self.key}"} if self.key else {})
        request = urllib.request.Request(f"http://{self.host}{path}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            found: dict[str, object] = json.load(answer)
            return found


@contextmanager
def serving(model: TinyModel, folder: Path, key: str | None = None) -> Iterator[LlamaServer]:
    """Serve a model with caches in float32, so that its log-probabilities are those of the weights."""
    file = folder / f"{model.name}.gguf"
    model.save(file)
    host = f"127.0.0.1:{_free_port()}"
    with (folder / f"{model.name}.log").open("w+b") as log:
        process = subprocess.Popen(_command(file, model.name, host, key), stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait(process, host, log.name)
            yield LlamaServer(model, host, key)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _command(file: Path, name: str, host: str, key: str | None) -> list[str]:
    address, _, port = host.partition(":")
    plain = f"-t 1 -c {SLOTS * CONTEXT} -np {SLOTS} -ctk f32 -ctv f32 -fa off --no-ui --offline"
    command = [os.environ[BINARY], "-m", str(file), "--alias", name, "--host", address, "--port", port, *plain.split()]
    return [*command, "--api-key", key] if key else command


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _wait(process: subprocess.Popen[bytes], host: str, log: str) -> None:
    """Until it answers. Raises RuntimeError with the end of its log when it does not."""
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://{host}/health", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"llama-server did not come up:\n{Path(log).read_text(errors='replace')[-2000:]}")
