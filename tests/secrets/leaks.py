"""Runs that fail in every way, with a key that stands nowhere else: no file, line, error or traceback may hold it.

    python tests/secrets/leaks.py [--short]

Prints a table, way of failing by where the key comes from; exit status 1 when it was found anywhere.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.hostile.typing_in import NOTHING, Ended, command
from tests.secrets.echo_server import ESCAPES, SPELLINGS, WAYS, serving

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


KEY = "sk-proj-Aa9/Zz8+Qq7_" + "Ww6Ee5Rr4Tt3Yy2Uu1" + "=="
PIECE = 12  # so many signs of the key together give it away
SUITE = """\
name: small
version: 1.0.0
description: d
licence: MIT
definition: persona-features
defaults: {samples_per_prompt: 1, category: c, split: broad, graders: [misalignment]}
probes: [{id: a, prompts: [Why?, And then?]}]
"""
PROVIDERS = ("openai-compatible", "openai", "anthropic", "http")
SOURCES = ("environment", ".env", "settings")


@dataclass
class Searched:
    """What was looked through, and where the key was."""

    files: int = 0
    bytes: int = 0
    streams: int = 0
    blotted: int = 0  # places where it would have been
    found: list[str] = field(default_factory=list)

    def add(self, other: "Searched") -> None:
        """Count another's."""
        self.files += other.files
        self.bytes += other.bytes
        self.streams += other.streams
        self.blotted += other.blotted
        self.found += other.found


def pieces(key: str) -> set[bytes]:
    """Every piece of the key that is long enough to tell, in every spelling of the server, in lower case."""
    spellings = {key, *(spelled(key) for spelled in (*SPELLINGS.values(), *ESCAPES.values()))}
    return {
        item[start : start + PIECE].lower().encode()
        for item in (spelling.removeprefix("Basic dXNlcj") for spelling in spellings)
        for start in range(len(item) - PIECE + 1)
    }


def search(folder: Path, ended: Sequence[Ended], key: str = KEY) -> Searched:
    """Look through every file below a folder, `.env` aside, their names, and all that commands have said."""
    wanted, done = pieces(key), Searched()
    texts = {
        f"{stream} of command {n}": getattr(ended, stream[3:]).encode()
        for n, ended in enumerate(ended)
        for stream in ("stdout", "stderr")
    }
    done.streams = len(texts)
    for file in folder.rglob("*"):
        if file.is_file() and file.name != ".env":
            texts[str(file.relative_to(folder))] = file.read_bytes() + str(file).encode()
            done.files += 1
    for name, text in texts.items():
        done.bytes += len(text)
        done.blotted += text.count(b"[key]")
        low = text.lower()
        if any(piece in low for piece in wanted):
            done.found.append(name)
    return done


def tried(provider: str, source: str, way: str, url: str, *, key: str = KEY) -> Searched:
    """A run whose target (or judge) fails in this way, resumed, reported and exported."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "s.yaml").write_text(SUITE)
        env = _placed(folder, provider, source, way, url, key)
        flags = [] if source == "settings" else ["--base-url", url, "--api-key-env", "MY_KEY"]
        model = "it" if source == "settings" else f"{provider}/{way}"
        judged = ["--judge", model, *(["--judge-base-url", url, "--judge-api-key-env", "MY_KEY"] if flags else [])]
        run = [
            "run",
            "s.yaml",
            "--target",
            model,
            *flags,
            *judged,
            "--out",
            "run",
            "--timeout",
            "1",
            "--max-connections",
            "2",
        ]
        looks = ("show run", "report run -o r.html -o r.md", "show run --format json", "doctor run", "doctor",
                 "export run -o x.csv -o x.eval -o x.jsonl",
                 "providers check it" if source == "settings" else "suites list")  # fmt: skip
        done = [command(folder, *run, env=env), command(folder, *run, "--resume", "--dry-run", env=env)]
        done += [command(folder, *look.split(), env=env) for look in looks]
        return search(folder, done, key)


def _placed(folder: Path, provider: str, source: str, way: str, url: str, key: str) -> Mapping[str, str]:
    """Put the key where it comes from; gives what of it is in the environment."""
    if source == "settings" or provider == "http":
        body = 'body: {model: "{model}", messages: "{messages}"}, reply: "choices.0.message.content"'
        options = f"options: {{{body}, path: /chat/completions}}"
        more = f", {options}" if provider == "http" else ""
        model = f"{{model: {provider}/{way}, base_url: '{url}', api_key_env: MY_KEY{more}}}"
        (folder / "misalign-eval.yaml").write_text(f"targets:\n  it: {model}\n")
    if source == ".env":
        (folder / ".env").write_text(f"MY_KEY='{key}'\n")
        (folder / ".env").chmod(0o600)
        return NOTHING
    return {"MY_KEY": key, "OPENAI_LOG": "debug", "ANTHROPIC_LOG": "debug"}


SHORT = (
    ("openai-compatible", "environment", "message-cut"), ("openai", "settings", "redirect"),
    ("anthropic", ".env", "reply"), ("openai-compatible", "settings", "request-id"), ("http", "settings", "not-json"),
    ("openai", ".env", "html"), ("openai-compatible", ".env", "in-address"),
    ("openai-compatible", "environment", "escaped-some"), ("anthropic", "settings", "base64-of-user"),
)  # fmt: skip


def trials() -> Iterator[tuple[str, str, str]]:
    """Provider, source and way. `http` is configured in a file alone."""
    for way in WAYS:
        for provider in PROVIDERS:
            yield from ((provider, source, way) for source in SOURCES if provider != "http" or source == "settings")


def main() -> int:
    """Try every way, print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="a few of the combinations")
    short, start, whole, count = parser.parse_args().short, time.monotonic(), Searched(), 0
    with serving() as url:
        for provider, source, way in SHORT if short else trials():
            found = tried(provider, source, way, url)
            whole.add(found)
            count += 1
            print(
                f"{way:16} {provider:18} {source:12} {found.files:4} files {found.streams:3} streams  "
                f"{', '.join(found.found) or '-'}",
                flush=True,
            )
    print(
        f"{count} runs, {whole.files} files and {whole.streams} streams of {whole.bytes / 1e6:.1f} MB searched, "
        f"{whole.blotted} places blotted out: found in {len(whole.found)} ({time.monotonic() - start:.0f} s)"
    )
    return int(bool(whole.found))


if __name__ == "__main__":
    sys.exit(main())
