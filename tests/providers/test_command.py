"""A program that crashes, babbles or hangs is a fault, and ends with the run."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from misalign_eval.errors import ProviderError, UsageError
from misalign_eval.records.protocols import ModelSpec, Provider


def program(folder: Path, source: str) -> ModelSpec:
    (folder / "program.py").write_text("import json, os, sys, time\n" + source)
    return ModelSpec("command", "mine", options={"command": [sys.executable, str(folder / "program.py")]})


ECHO = """
for line in sys.stdin:
    request = json.loads(line)
    print(json.dumps({"id": request["id"], "text": request["messages"][-1]["content"]}), flush=True)
"""


@pytest.mark.parametrize(
    "source, reason, words",
    [
        ("sys.stdin.readline(); sys.exit('out of memory')", "connection", "status 1: out of memory"),
        ("sys.exit(3)", "connection", "status 3"),
        ("sys.stdin.readline(); print('Loading…', flush=True); time.sleep(9)", "invalid_response", "no answer: 'Loading…'"),  # noqa: E501  an error as it is sent
        ("sys.stdin.readline(); print('{\"text\": \"x\"}', flush=True); time.sleep(9)", "invalid_response", "no answer"),  # noqa: E501  an error as it is sent
        ("sys.stdin.readline(); sys.stdout.buffer.write(b'\\xff\\xfe\\n'); sys.stdout.flush(); time.sleep(9)", "invalid_response", "no answer"),  # noqa: E501  an error as it is sent
        ("sys.stdin.readline(); print('{\"id\": \"1\"}', flush=True); time.sleep(9)", "invalid_response", "no `text`"),
        ("os.close(0); time.sleep(0.2); sys.exit(4)", "connection", "status 4"),
        ("sys.stdin.readline(); os.kill(os.getpid(), 9)", "connection", "status -9"),
    ],
)  # fmt: skip
def test_a_program_that_fails_is_a_fault_that_another_attempt_may_heal(
    kit: Any, tmp_path: Path, source: str, reason: str, words: str
) -> None:
    with pytest.raises(ProviderError) as caught:
        kit.ask(program(tmp_path, source), kit.question("Hi?"))
    assert (caught.value.reason, caught.value.retry) == (reason, True)
    assert words in caught.value.message


def test_a_program_says_itself_what_went_wrong(kit: Any, tmp_path: Path) -> None:
    error = {"message": "busy", "reason": "rate_limit", "retry": True, "after_s": 3}
    source = f"sys.stdin.readline(); print(json.dumps({{'id': '1', 'error': {error!r}}}), flush=True); time.sleep(9)"
    with pytest.raises(ProviderError, match="busy") as caught:
        kit.ask(program(tmp_path, source), kit.question("Hi?"))
    assert (caught.value.reason, caught.value.retry, caught.value.after_s) == ("rate_limit", True, 3.0)


def test_a_dead_program_is_started_again_for_the_next_request(kit: Any, tmp_path: Path) -> None:
    source = f"""
if not os.path.exists({str(tmp_path / "once")!r}):
    open({str(tmp_path / "once")!r}, "w").close()
    sys.stdin.readline()
    sys.exit("first time")
{ECHO}"""

    async def work(provider: Provider) -> str:
        with pytest.raises(ProviderError, match="first time"):
            await provider.complete(kit.question("Hi?"))
        return (await provider.complete(kit.question("Hi?"))).choices[0].text

    assert kit.using(program(tmp_path, source), work) == "Hi?"


def test_answers_in_any_order_find_their_requests(kit: Any, tmp_path: Path) -> None:
    source = """
lines = [json.loads(sys.stdin.readline()) for _ in range(5)]
for request in reversed(lines):
    print(json.dumps({"id": request["id"], "text": request["messages"][-1]["content"]}), flush=True)
time.sleep(9)
"""

    async def work(provider: Provider) -> list[str]:
        questions = [kit.question(f"q{index}") for index in range(5)]
        responses = await asyncio.gather(*map(provider.complete, questions))
        return [response.choices[0].text for response in responses]

    assert kit.using(program(tmp_path, source), work) == ["q0", "q1", "q2", "q3", "q4"]


@pytest.mark.slow
def test_a_late_answer_to_a_cancelled_request_disturbs_nobody(kit: Any, tmp_path: Path) -> None:
    source = ECHO.replace(
        "    print", "    time.sleep(0.5 if request['messages'][-1]['content'] == 'slow' else 0)\n    print"
    )

    async def work(provider: Provider) -> str:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await provider.complete(kit.question("slow"))
        return (await provider.complete(kit.question("quick"))).choices[0].text

    assert kit.using(program(tmp_path, source), work) == "quick"


def test_much_noise_on_standard_error_blocks_nothing(kit: Any, tmp_path: Path) -> None:
    source = "sys.stderr.write('x' * 1_000_000)\n" + ECHO
    assert kit.ask(program(tmp_path, source), kit.question("Hi?")).choices[0].text == "Hi?"


def test_a_long_answer_passes(kit: Any, tmp_path: Path) -> None:
    text = "y" * 1_000_000
    assert kit.ask(program(tmp_path, ECHO), kit.question(text)).choices[0].text == text


@pytest.mark.slow
def test_closing_ends_the_program_and_what_it_started_even_if_it_does_not_listen(kit: Any, tmp_path: Path) -> None:
    source = f"""
import signal, subprocess
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open({str(tmp_path / "pids")!r}, "w").write(f"{{os.getpid()}} {{child.pid}}")
{ECHO}
time.sleep(60)
"""
    kit.ask(program(tmp_path, source), kit.question("Hi?"))
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    deadline = time.monotonic() + 5
    while any(map(is_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [is_alive(pid) for pid in pids] == [False, False]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_the_models_name_may_be_the_command_line(kit: Any, tmp_path: Path) -> None:
    program(tmp_path, ECHO)
    script = tmp_path / "program.py"
    spec = ModelSpec("command", f"{sys.executable} '{script}'")
    assert kit.ask(spec, kit.question("Hi?")).choices[0].text == "Hi?"


@pytest.mark.parametrize(
    "model, words", [("no-such-program --x", "is no program"), ("'", "cannot be read"), ("", "is no")]
)
def test_a_program_that_is_not_there_is_refused_before_any_request(kit: Any, model: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        kit.open(ModelSpec("command", model))


def test_no_shell_reads_the_command(kit: Any, tmp_path: Path) -> None:
    program(tmp_path, ECHO)
    script = tmp_path / "program.py"
    spec = ModelSpec("command", f"{sys.executable} {script} ; touch {tmp_path / 'made'}")
    kit.ask(spec, kit.question("Hi?"))
    assert not (tmp_path / "made").exists()
