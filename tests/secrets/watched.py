"""To whom a command speaks: connections and look-ups, by Python's audit hooks here and by strace from outside.

    python tests/secrets/watched.py

Runs each command under strace and prints a table of the addresses that it connected to or looked up, DNS included.
Exit status 1 when there was one that was not configured.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.hostile.server import serving

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


_EVENTS = {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.sendto",
           "socket.sendmsg", "urllib.Request"}  # fmt: skip
_INTERNET = re.compile(r"sin6?_port=htons\((\d+)\).*?(?:inet_addr\(\"([^\"]+)\"\)|inet_pton\(AF_INET6, \"([^\"]+)\")")
SUITE = """\
name: small
version: 1.0.0
description: d
licence: MIT
definition: persona-features
defaults: {samples_per_prompt: 1, category: c, split: broad, graders: [misalignment]}
probes: [{id: a, prompts: [Why?, And then?]}]
"""
SETTINGS = "targets: {it: {model: openai-compatible/target, base_url: 'http://configured.example/v1'}}\n"
JUDGED = "--judge openai-compatible/judge --judge-base-url URL"
# What a command line may speak to: `URL` is a server on loopback; no other command speaks to anybody.
ASKING = (
    f"run small.yaml --target openai-compatible/target --served-as * --base-url URL {JUDGED} --out run",
    "regrade run --judge openai-compatible/second --judge-base-url URL",
    f"calibrate misalignment {JUDGED} --no-store --max-requests 3",
    "providers check openai-compatible/target --base-url URL",
)
SILENT = (
    "--help", "run --help", "--version", "suites list", "suites show quick", "suites check --all", "graders list",
    "definitions list", "providers list", "run quick --target openai/gpt-5.4 --judge openai/gpt-5.4 --dry-run",
    "run quick --target it --judge it --dry-run", "report run", "report run -o page.html -o page.md", "show run",
    "compare run run2", "gate run --max-rate 50%", "export run -o rows.csv -o log.eval",
    "export run --baseline base.json",
    "import rows.csv --out imported --ignore labels", "doctor", "doctor run", "power --max-rate 5% --rate 1%",
    "label run --labels 1",
)  # fmt: skip


class Heard:
    """The addresses of one command, as the interpreter saw them."""

    def __init__(self) -> None:
        self.places: list[str] = []
        self._is_on = False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self._is_on or event not in _EVENTS:
            return
        place = arguments[0] if event in {"socket.getaddrinfo", "urllib.Request"} else arguments[-1]
        if event == "socket.getaddrinfo":
            place = (place, arguments[1])
        if isinstance(place, tuple):  # of a Unix socket it is a path
            self.places.append(f"{place[0]}:{place[1]}")

    @contextmanager
    def listening(self) -> Iterator[list[str]]:
        """Gives the places that are named within."""
        self.places, self._is_on = [], True
        try:
            yield self.places
        finally:
            self._is_on = False


def traced(folder: Path, *arguments: str) -> tuple[int, list[str]]:
    """Run a command under strace; gives its status and every address of the internet that it connected or sent to."""
    log = folder / "strace.log"
    calls = "trace=connect,sendto,sendmsg,sendmmsg,bind"
    program = [sys.executable, "-m", "misalign_eval", *arguments]
    done = subprocess.run(["strace", "-f", "-qq", "-e", calls, "-o", str(log), *program], cwd=folder,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=300, check=False)  # fmt: skip
    lines = log.read_text(errors="replace").splitlines()
    found = [match for line in lines if "AF_INET" in line and " bind(" not in line for match in _INTERNET.findall(line)]
    return done.returncode, [f"{v4 or v6}:{port}" for port, v4, v6 in found]


def main() -> int:
    """Trace every command and print what it spoke to."""
    bad = seen = 0
    with tempfile.TemporaryDirectory() as name, serving() as server:
        folder = Path(name)
        (folder / "small.yaml").write_text(SUITE)
        (folder / "misalign-eval.yaml").write_text(SETTINGS)
        allowed = {server.url.split("/")[2]}
        again = ASKING[0].replace("--out run", "--out run2")
        for line in (*ASKING, again, *SILENT):
            code, places = traced(folder, *line.replace("URL", server.url).split())
            strange = sorted(set(places) - (allowed if "URL" in line else set()))
            bad += bool(strange) or code == 70
            seen += len(places)
            print(f"{line[:70]:70} exit {code}  {len(places):3} connections  {', '.join(strange) or '-'}", flush=True)
    print(f"{len(ASKING) + 1 + len(SILENT)} commands, {seen} connections, all to {allowed}: {'no' if bad else 'yes'}")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
