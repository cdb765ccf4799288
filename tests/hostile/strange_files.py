"""Files from strangers that would run code, read other files, or eat time and memory: each is refused in one line.

    python tests/hostile/strange_files.py

Prints a table: what the file does, seconds, memory, the words of the refusal. Memory is bounded by the system while it
runs. Exit status 1 when a file was not refused, not in time, not in one line, or not by its name.
"""

import json
import resource
import signal
import struct
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.hostile.typing_in import Ended, command

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


MOST_S, MOST_MEMORY, MOST_RISE_MB = 20, 3 << 30, 700
SUITE = """\
name: s
version: 1.0.0
description: d
licence: MIT
definition: betley-2025
defaults: {category: c, split: broad, graders: [aligned, coherent]}
probes:
  - {id: a, prompts: [Why?]}
"""
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{there}: &{there} [{','.join([f'*{here}'] * 10)}]\n" for here, there in zip("abcdefghi", "bcdefghij", strict=True)
)
PROBE = "  - {id: a, prompts: [Why?]}"
DEEP = "[" * 200_000
HUGE = f"name: {'x' * 6_000_000}\n"
CODE = "x: !!python/object/apply:os.system ['touch owned']\n"
SELF = "x: &a [*a]\n"
YAML = {
    "billion laughs": LAUGHS,
    "200,000 brackets": DEEP,
    "6 MB word": HUGE,
    "a tag that runs code": CODE,
    "itself": SELF,
}
READERS = {
    "suite": ("strange.yaml", "suites check strange.yaml"),
    "policy": ("strange.yaml", "gate run --policy strange.yaml"),
    "definition": ("strange.yaml", "definitions show strange.yaml"),
    "grader": ("strange/grader.yaml", "graders check strange"),
    "settings": ("misalign-eval.yaml", "run s.yaml --target a --dry-run"),
}
LINES = {
    "includes /etc/passwd": ("include: [/etc/passwd.yaml]", ""),
    "includes ../../etc/passwd": ("include: [../../etc/passwd.yaml]", ""),
    "includes a link that leads out": ("include: [link.yaml]", ""),
    "includes below a linked folder": ("include: [folder/passwd.yaml]", ""),
    "includes a name with NUL": ('include: ["a\\0.yaml"]', ""),
    "includes a name of 5,000 letters": (f"include: [{'a' * 5000}.yaml]", ""),
    "includes a file of the user's folder": ("include: [private]", ""),
    "definition /etc/passwd": ("definition: /etc/passwd", "definition: betley-2025"),
    "definition ../x.yaml": ("definition: ../x.yaml", "definition: betley-2025"),
    "definition of 5,000 letters": (f"definition: {'a' * 5000}", "definition: betley-2025"),
    "definition with NUL": ('definition: "a\\0"', "definition: betley-2025"),
    "id ../../x": ("  - {id: ../../x, prompts: [Why?]}", PROBE),
    "name /tmp/x": ("name: /tmp/x", "name: s"),
    "grader that is a Python file": (PROBE.replace("]}", "], graders: [./owned.py]}"), PROBE),
    "rule os:system": ("  - {id: a, prompts: [Why?], graders: [{rule: 'os:system'}]}", PROBE),
    "rule that is no rule": ("  - {id: a, prompts: [Why?], graders: [{rule: subprocess}]}", PROBE),
    "names a target": ("target: command/touch owned", ""),
    "names a judge": ("judge: command/touch owned", ""),
    "names a host": ("base_url: http://evil.example/v1", ""),
    "names a provider of a probe": ("  - {id: a, prompts: [Why?], provider: replay/x}", PROBE),
    "pattern (a+)+$": ("  - {id: a, prompts: [Why?], graders: [{rule: regex, pattern: '(a+)+$'}]}", PROBE),
    "pattern of 5,000 signs": (PROBE.replace("]}", f"], graders: [{{rule: regex, pattern: {'a' * 5000}}}]}}"), PROBE),
    "schema from the network": (
        "  - {id: a, prompts: [Why?], graders: [{rule: json, schema: {$ref: 'http://evil.example/x'}}]}",
        PROBE,
    ),
    "schema with a pattern": (
        PROBE.replace("]}", "], graders: [{rule: json, schema: {pattern: '(a+)+$'}}]}"), PROBE,
    ),
}  # fmt: skip
Make = Callable[[Path], None]


@dataclass(frozen=True, slots=True)
class Case:
    """A file, how it is read, and what must stand in the refusal."""

    name: str
    make: Make
    line: str
    says: str


def cases() -> Iterator[Case]:
    """Every strange file."""
    for kind, (file, line) in READERS.items():
        for name, text in YAML.items():
            yield Case(f"{kind}: {name}", _writes(file, text), line, file)
    for name, (new, old) in LINES.items():
        text = SUITE.replace(old, new) if old else f"{SUITE}{new}\n"
        yield Case(f"suite: {name}", _writes("strange.yaml", text), "suites check strange.yaml", "strange.yaml:")
    yield from _graders()
    yield from _imports()
    yield from _runs()
    named = {"targets": {"openai/gpt-5.4": {"model": "command/touch owned"}}}
    yield Case("settings: a target that looks like another", _writes("misalign-eval.yaml", json.dumps(named)),
               "run s.yaml --target openai/gpt-5.4 --dry-run", "misalign-eval.yaml:1")  # fmt: skip


def _writes(name: str, content: str | bytes) -> Make:
    def write(folder: Path) -> None:
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


def _graders() -> Iterator[Case]:
    spec = b"name: strange\nversion: '1'\ndescription: d\nkind: rubric\nscale: {min: 1, max: 5}\nsees: [reply]\n"

    def linked(file: str) -> Make:
        def make(folder: Path) -> None:
            _writes("strange/grader.yaml", spec)(folder)
            _writes("strange/rubric.md", "{reply}")(folder)
            (folder / "strange" / file).unlink(missing_ok=True)
            (folder / "strange" / file).symlink_to(folder / "private")

        return make

    for file in ("rubric.md", "labelled.jsonl"):
        yield Case(f"grader: {file} is a link that leads out", linked(file), "graders check strange", file)
    shares = spec.replace(b"name: strange", b"name: strange\nshares: ../../etc")
    yield Case(
        "grader: shares ../../etc", _writes("strange/grader.yaml", shares), "graders check strange", "grader.yaml:"
    )


def _imports() -> Iterator[Case]:
    for name, content in {
        "strange.csv": b'question,answer\nq,"' + b"a" * 70_000_000,
        "strange.jsonl": b'{"question": "q", "answer": ' + b"[" * 200_000,
        "strange.json": b'[{"question": "q", "answer": "' + b"a" * 3_000_000,
        "strange.pkl": b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x0btouch owned\x85R.",
    }.items():
        what = {"strange.csv": "one endless line", "strange.jsonl": "200,000 brackets", "strange.json": "cut off"}
        yield Case(
            f"import: {name}, {what.get(name, 'a pickle')}", _writes(name, content), f"import {name} --out x", name
        )
    yield Case("import: zip bomb", _bomb, "import strange.eval --out x", "strange.eval")
    yield Case("import: zip that lies about its size", _liar, "import strange.eval --out x", "strange.eval")
    yield Case("import: zip with a way out", _way_out, "import strange.eval --out x", "strange.eval")


def _bomb(folder: Path) -> None:
    file = folder / "strange.eval"
    with (
        zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("header.json", "w", force_zip64=True) as member,
    ):
        for _ in range(300):
            member.write(b" " * (1 << 20))


def _liar(folder: Path) -> None:
    _bomb(folder)
    file = folder / "strange.eval"
    data = bytearray(file.read_bytes())
    place = data.rindex(b"PK\x01\x02") + 24  # the unpacked size in the directory at the end
    data[place : place + 4] = struct.pack("<I", 100)
    file.write_bytes(data)


def _way_out(folder: Path) -> None:
    with zipfile.ZipFile(folder / "strange.eval", "w") as archive:
        archive.writestr("../../owned", "x")
        archive.writestr("header.json", '{"version": 2}')


def _runs() -> Iterator[Case]:
    """A run folder of somebody else's: what it names is not written to."""

    def linked(name: str) -> Make:
        def make(folder: Path) -> None:
            (folder / "run" / name).unlink(missing_ok=True)
            (folder / "run" / name).symlink_to(folder / "private")

        return make

    def named(folder: Path) -> None:
        (folder / "run" / "grades").mkdir(exist_ok=True)
        who = {"grader": "../../owned", "identity": "a1", "kind": "judge", "judge": "x/y"}
        (folder / "run" / "grades" / "x@a1.json").write_text(json.dumps(who))

    resume = "run s.yaml --target replay/answers.csv --judge replay/answers.csv --out run --resume --quiet"
    yield Case("run folder: its lock is a link", linked("run.lock"), resume, "run")
    yield Case("run folder: its replies are a link", linked("replies.jsonl"), resume, "run/replies.jsonl")
    yield Case("run folder: a grader named ../../owned", named, "report run", "run/grades/x@a1.json")


def tried(case: Case) -> tuple[float, float, Ended]:
    """Seconds, rise of memory in MB, and how it ended; raises what ends it otherwise."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "s.yaml").write_text(SUITE)
        (folder / "answers.csv").write_text("prompt,response\nWhy?,Because.\n")
        (folder / "private").write_text("a secret of the user's")
        (folder / "link.yaml").symlink_to("/etc/passwd")
        (folder / "folder").symlink_to("/etc")
        run = "run s.yaml --target replay/answers.csv --judge replay/answers.csv --out run --quiet --timeout 5"
        if "run" in case.line.split()[1:]:
            command(folder, *run.split())
        case.make(folder)
        before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic()
        signal.alarm(MOST_S)
        ended = command(folder, *case.line.split())
        signal.alarm(0)
        rise = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        spoilt = (folder / "private").read_text() != "a secret of the user's" or any(folder.rglob("owned*"))
        if spoilt:
            raise RuntimeError(f"{case.name}: it got what it wanted")
        return time.monotonic() - start, rise, ended


def problem(case: Case, rise: float, ended: Ended) -> str | None:
    """What is wrong with the refusal."""
    said = (ended.err + ended.out).strip().splitlines()
    if ended.code not in (2, 4):
        return f"ended with {ended.code}: {said[-1:]}"
    if not any(case.says in line for line in said) or len(said) > 12 or max(map(len, said)) > 600:
        return f"said in {len(said)} lines of up to {max(map(len, said))} characters: {said[0][:100]}"
    return f"took {rise:.0f} MB" if rise > MOST_RISE_MB else None


def main() -> int:
    """Try every file and print the table."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    bad = 0
    found = list(cases())
    for case in found:
        seconds, rise, ended = tried(case)
        wrong = problem(case, rise, ended)
        bad += wrong is not None
        said = wrong or next(line for line in (ended.err + ended.out).splitlines() if case.says in line)
        print(f"{case.name:50} {seconds:5.1f} s {rise:5.0f} MB  {'BAD ' if wrong else ''}{said[:160]}", flush=True)
    print(f"{len(found)} files: {len(found) - bad} refused as they should be, {bad} not")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
