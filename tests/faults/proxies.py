"""Let a proxy do everything wrong, and look at what is recorded, how long it took, and who learned its password.

    python tests/faults/proxies.py [--only 407 hang …]

`faults.py` prints this table too. Every command is told of the proxy by the environment, as users do it, and asks a
server of this machine over http (absolute addresses) or https (CONNECT, a certificate made here). Afterwards every byte
that it wrote is searched for the password, as it is and as it was sent. Exit status 1 when something was wrong.
"""

import argparse
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.tool import Ended, Started, Tool, serving, suite, table
from tests.servers.faulty_proxy import FAULTS

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


PROXY = Path(__file__).parents[1] / "servers" / "faulty_proxy.py"
PASSWORD = "hush-hush-hush"
TIMEOUT_S = 2.0
BOUND_S = (
    3 * TIMEOUT_S + TIMEOUT_S + 4.0
)  # of a request with all its attempts, of the last one, and to begin and report
AT_ONCE = 4
# Recorded over http, over https (by CONNECT), and whether asking again is of use.
WANTED: dict[str, tuple[str, str, bool]] = {
    "407": ("auth", "auth", False), "403": ("auth", "connection", False), "502": ("server", "server", True),
    "503": ("overloaded", "overloaded", True), "504": ("server", "server", True),
    "close": ("connection", "connection", True), "hang": ("timeout", "timeout", True),
    "rubbish": ("connection", "connection", True), "portal": ("invalid_response", "connection", True),
    "echo": ("server", "server", True), "close-tunnel": ("connection", "connection", True),
    "hang-tunnel": ("timeout", "timeout", True), "reset-body": ("connection", "connection", True),
    "dribble": ("timeout", "timeout", True), "headers": ("reply", "reply", False),
    "refused": ("connection", "connection", True),
}  # fmt: skip
VARIABLES = {"http": ("HTTP_PROXY", "http_proxy", "ALL_PROXY"), "https": ("HTTPS_PROXY", "https_proxy", "ALL_PROXY")}
HINT = {"407": "look at {}, as in", "refused": "through the proxy of {}", "close": "through the proxy of {}"}


@dataclass(frozen=True)
class Case:
    """One accident on one way."""

    scheme: str
    how: str  # "always", "once", or the variable that names a proxy that is well
    name: str
    recorded: str
    heals: bool
    env: Mapping[str, str]


@dataclass(frozen=True)
class World:
    """A proxy, and the servers behind it."""

    proxy: str  # host:port
    urls: Mapping[str, str]
    certificate: Path

    def env(self, variable: str, user: str, password: str = PASSWORD, at: str = "") -> dict[str, str]:
        """The variables of one command."""
        return {variable: f"http://{user}:{password}@{at or self.proxy}", "SSL_CERT_FILE": str(self.certificate)}


@contextmanager
def proxying(*options: str) -> Iterator[str]:
    """A faulty proxy of its own; gives its host and port."""
    process = subprocess.Popen(
        [sys.executable, str(PROXY), "--password", PASSWORD, *options], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield f"127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.kill()
        process.communicate()


def made_certificate(folder: Path) -> Path:
    """Key and certificate of this machine in one file, which vouches for itself where SSL_CERT_FILE names it."""
    key, made, both = (folder / name for name in ("key.pem", "cert.pem", "both.pem"))
    line = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    more = ["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", str(key), "-out", str(made)]
    subprocess.run(["openssl", *line.split(), *more], check=True, capture_output=True)
    both.write_bytes(key.read_bytes() + made.read_bytes())
    return both


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """The proxy, a server over http, and one over https."""
    certificate = made_certificate(folder)
    with proxying() as proxy, serving() as plain, serving("--certificate", str(certificate)) as secure:
        yield World(proxy, {"http": plain, "https": secure.replace("http:", "https:")}, certificate)


def asked(proxy: str) -> list[list[str]]:
    """What the proxy was asked so far: user, method, target and names of headers."""
    with urllib.request.urlopen(f"http://{proxy}/asked", timeout=30) as answer:
        told: list[list[str]] = json.load(answer)
        return told


def cases(there: World, only: Sequence[str]) -> Iterator[Case]:
    """Every row of the table."""
    for scheme in ("http", "https"):
        first = VARIABLES[scheme][0]
        for name in (*FAULTS, "refused"):
            if only and name not in only:
                continue
            plain, secure, heals = WANTED[name]
            wanted = plain if scheme == "http" else secure
            env = there.env(first, f"fault-{name}", at="127.0.0.1:9" if name == "refused" else "")
            yield Case(scheme, "always", name, wanted, heals, env)
            if heals and name != "refused":
                yield Case(scheme, "once", name, "reply", heals, there.env(first, f"once-{name}"))
        if not only:
            yield from healthy(there, scheme, first)


def healthy(there: World, scheme: str, first: str) -> Iterator[Case]:
    """A proxy that is well, by every variable; one that is none of this host's business; a wrong password."""
    for variable in VARIABLES[scheme]:
        yield Case(scheme, variable, "healthy", "reply", False, there.env(variable, f"healthy-{variable}"))
    past = there.env(first, "fault-502") | {"NO_PROXY": "example.org,127.0.0.1"}
    yield Case(scheme, "NO_PROXY", "healthy", "reply", False, past)
    wrong = there.env(first, "healthy", "not-the-right-one")
    yield Case(scheme, first, "407", "auth", False, wrong)


def start(tool: Tool, there: World, case: Case, out: str) -> Started:
    """Start a run with the case's environment and no other."""
    tool.url = there.urls[case.scheme]
    os.environ.update(case.env)
    try:
        return tool.start(*tool.asking("varied", "--timeout", f"{TIMEOUT_S:g}", "-q", "--out", out))
    finally:
        for name in case.env:
            del os.environ[name]


def spelled(env: Mapping[str, str]) -> Iterator[bytes]:
    """The password of the proxy, as it is and as it is sent."""
    address = next(value for name, value in env.items() if name.lower().endswith("_proxy") and "@" in value)
    pair = address.removeprefix("http://").rpartition("@")[0]
    yield pair.partition(":")[2].encode()
    yield base64.b64encode(pair.encode())


def look(tool: Tool, case: Case, out: str, ended: Ended) -> tuple[list[object], list[str]]:
    """A row of the table, and what was wrong."""
    rows = tool.rows(out, "replies.jsonl")
    recorded = ", ".join(Counter(row["kind"] if row["kind"] == "reply" else row["reason"] for row in rows))
    attempts = max((row["attempts"] for row in rows), default=0)
    said = next((row["message"] for row in rows if row["kind"] != "reply"), "")
    hint = HINT.get(case.name, "").format(VARIABLES[case.scheme][0])
    files = [path for path in (tool.folder / out).rglob("*") if path.is_file()]
    written = [ended.out.encode(), ended.err.encode(), *(path.read_bytes() for path in files)]
    leaked = any(word in text for word in spelled(case.env) for text in written)
    checks = {
        f"recorded as {recorded}, not {case.recorded}": recorded != case.recorded,
        f"exit code {ended.code}: {ended.err[-300:]}": ended.code != (0 if case.recorded == "reply" else 4),
        f"asked {attempts} times": (attempts > 1) != (case.heals and case.how in ("always", "once")),
        f"took {ended.took_s:.1f} s": ended.took_s > 2 * BOUND_S,
        f"`{said}` does not say `{hint}`": bool(said) and hint not in said,
        "the password was written down": leaked,
        "a traceback": "Traceback" in ended.err,
    }
    wrong = [what for what, is_so in checks.items() if is_so]
    row = [case.scheme, case.how, case.name, recorded, attempts, ended.code, f"{ended.took_s:.1f}"]
    return [*row, "; ".join(wrong) or "ok"], wrong


def matrix(folder: Path, only: Sequence[str] = ()) -> tuple[str, list[str]]:
    """The table as it is printed, and what was wrong."""
    rows, wrong = [], []
    with world(folder) as there:
        tool = Tool(folder / "runs", "")
        (tool.folder / "suite.yaml").write_text(suite(1, 2))
        waiting = list(enumerate(cases(there, only)))[::-1]
        running: list[tuple[int, Case, Started]] = []
        while waiting or running:
            while waiting and len(running) < AT_ONCE:
                number, case = waiting.pop()
                running.append((number, case, start(tool, there, case, f"p{number}")))
            time.sleep(0.01)
            for one in [item for item in running if item[2].is_over()]:
                running.remove(one)
                row, odd = look(tool, one[1], f"p{one[0]}", one[2].wait())
                rows.append((one[0], row))
                wrong += [f"{one[1].scheme} {one[1].how} {one[1].name}: {what}" for what in odd]
        wrong += went(asked(there.proxy)) if not only else []
    head = ("over", "when", "accident", "recorded", "attempts", "exit", "s", "judged")
    return table(head, [row for _, row in sorted(rows, key=lambda row: row[0])]), wrong


def went(exchanges: Sequence[Sequence[str]]) -> list[str]:
    """Whether every variable was heeded, and nothing was said to the proxy that is for the server alone."""
    users = {user for user, *_ in exchanges}
    missing = [name for names in VARIABLES.values() for name in names if f"healthy-{name}" not in users]
    told = [target for _, method, target, headers in exchanges if method == "CONNECT" and "authorization" in headers]
    return [f"{name} was not heeded" for name in missing] + [f"a key was sent to the proxy: {item}" for item in told]


def main() -> int:
    """Read the options, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", default=(), choices=tuple(WANTED))
    with tempfile.TemporaryDirectory() as folder:
        said, wrong = matrix(Path(folder), parser.parse_args().only)
    print("\n".join([said, *wrong]))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
