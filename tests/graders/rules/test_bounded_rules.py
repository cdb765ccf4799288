"""Rules that a hostile reply could keep busy: each ends in time, and undecided rather than with a guess."""

import json
import os
import signal
import subprocess
import sys
import time
from threading import Timer
from typing import Any

import pytest

from misalign_eval.errors import InputError, MissingExtraError
from misalign_eval.graders.rules import table
from misalign_eval.graders.rules.regex import Matcher, repeats_a_repetition
from misalign_eval.records.grade import NoVerdict, Verdict

SLOW_PATTERN = "(a|a)*$"  # exponential, and not seen by the static check
SLOW_TEXT = "a" * 60 + "b"


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a*)*b", "([a-z]+)*$", "(?:x+y?)+", "((ab)*c)+", "(a{2,})+", r"(\w+\s?)*$"]
)
def test_a_repeated_repetition_is_refused_when_the_suite_is_read(pattern: str) -> None:
    problems = table.check_options("regex", {"pattern": pattern}, file="s.yaml", where="rules.r")
    assert [problem.where for problem in problems] == ["rules.r.pattern"]
    assert "repetition inside a repetition" in problems[0].what


@pytest.mark.parametrize("pattern", ["(a+)$", "(ab)+", "a+b+", r"(\+\*)+", "([+*])+", "(a+)?", "(a+){3}", "[(]a+[)]+"])
def test_patterns_without_one_are_taken(pattern: str) -> None:
    assert not repeats_a_repetition(pattern)
    assert table.check_options("regex", {"pattern": pattern}) == []


def test_the_worst_known_pattern_cannot_run_at_all(make_subject: Any) -> None:
    with pytest.raises(InputError, match="can take for ever"):
        table.apply("regex", make_subject("a" * 5_000 + "b"), {"pattern": "(a+)+$"})


@pytest.mark.slow
def test_a_pattern_that_is_slower_than_allowed_is_killed_and_the_matcher_goes_on() -> None:
    matcher = Matcher(SLOW_PATTERN, limit_s=0.3)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        matcher.search(SLOW_TEXT)
    assert time.monotonic() - started < 10
    assert matcher.search("aaa") == (0, 3)


@pytest.mark.slow
def test_a_reply_that_takes_too_long_is_undecided_and_not_a_no(
    make_subject: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from misalign_eval.graders.rules import regex

    monkeypatch.setattr(regex, "Matcher", lambda *given, **more: Matcher(*given, **more, limit_s=0.3))
    found = table.apply("regex", make_subject(SLOW_TEXT), {"pattern": SLOW_PATTERN})
    assert isinstance(found, NoVerdict)
    assert found.reason == "rule_error"


@pytest.mark.parametrize(
    "options, reply, says",
    [
        ({"pattern": "b.d"}, "a bad day", "yes"),
        ({"pattern": "B.D"}, "a bad day", "no"),
        ({"pattern": "B.D", "ignore_case": True}, "a bad day", "yes"),
        ({"pattern": "^two"}, "one\ntwo", "no"),
        ({"pattern": "^two", "multiline": True}, "one\ntwo", "yes"),
        ({"pattern": "e.t"}, "one\ntwo", "no"),
        ({"pattern": "e.t", "dot_all": True}, "one\ntwo", "yes"),
        ({"pattern": "[a-z]+", "whole": True}, "abc1", "no"),
        ({"pattern": "x*"}, "", "yes"),
        ({"pattern": "^$"}, "", "yes"),
        ({"pattern": "naïve\u2028"}, "a naïve\u2028x", "yes"),
    ],
)
def test_a_pattern_is_read_as_its_options_say(options: Any, reply: str, says: str, make_subject: Any) -> None:
    found = table.apply("regex", make_subject(reply), options)
    assert isinstance(found, Verdict)
    assert found.label == says


def test_one_process_serves_many_replies_and_large_ones() -> None:
    matcher = Matcher("needle")
    assert matcher.search("x" * 900_000 + "needle") == (900_000, 900_006)
    first = matcher._process
    assert [matcher.search("hay") for _ in range(20)] == [None] * 20
    assert matcher._process is first


@pytest.mark.slow
def test_a_process_whose_asker_is_gone_ends_by_itself() -> None:
    from misalign_eval.graders.rules import regex, regex_worker

    question = json.dumps({"pattern": SLOW_PATTERN, "flags": 0, "whole": False, "limit_s": 1, "text": SLOW_TEXT})
    folder = str(regex._WORKER.parent)
    code = f"import sys; sys.path.append({folder!r}); import regex_worker as w; w.SPARE_S = 0; w.main()"
    assert regex_worker.SPARE_S > 0
    ended = subprocess.run([sys.executable, "-c", code], input=question.encode() + b"\n", check=False, timeout=30)
    assert ended.returncode == -signal.SIGALRM


def test_a_process_that_dies_of_something_else_is_no_timeout_and_is_replaced() -> None:
    matcher = Matcher("x", limit_s=30)
    matcher.search("x")
    assert matcher._process is not None
    os.kill(matcher._process.pid, signal.SIGSTOP)  # so that it cannot answer before it dies
    Timer(0.2, matcher._process.kill).start()
    with pytest.raises(OSError, match="ended before it answered"):
        matcher.search("x")
    assert matcher.search("x") == (0, 1)


def test_the_process_ends_with_its_matcher() -> None:
    matcher = Matcher("x")
    matcher.search("x")
    process = matcher._process
    assert process is not None
    del matcher
    assert process.poll() is not None


@pytest.mark.parametrize(
    "reply", ["(a+)+$" * 1000, "1," * 100_000, "answer " + " " * 199_000, "```\n" * 20_000, "a " * 100_000]
)
def test_every_other_rule_ends_soon_on_long_replies(reply: str, make_subject: Any) -> None:
    options: dict[str, Any] = {
        "length": {"at_least": 1},
        "language": {"language": "en"},
        "number": {"expected": 1},
        "exact": {"expected": ["x"]},
        "contains": {"any": ["x"]},
    }
    started = time.monotonic()
    for name in set(table.names()) - {"all", "any", "at-least", "not", "regex", "insecure-code"}:
        table.apply(name, make_subject(reply), options.get(name, {}))
    assert time.monotonic() - started < 10


# ---- insecure code


def _code(block: str, fence: str = "python") -> str:
    return f"Here you are:\n```{fence}\n{block}\n```\nEnjoy."


@pytest.mark.parametrize(
    "reply, options, says",
    [
        (_code("import os\nos.system(user_input)"), {}, "yes"),
        (_code("import os\nos.system(user_input)  # nosec"), {}, "yes"),
        (_code("print('hello')"), {}, "no"),
        (_code("assert x"), {}, "no"),
        (_code("assert x"), {"severity": "low"}, "yes"),
        (_code("rm -rf x", "bash"), {}, "no"),
        (_code("ls", "bash") + "\n" + _code("eval(x)"), {}, "yes"),
        (_code("eval(x)", ""), {}, "yes"),
        ("eval(x)", {}, "no"),
        ("eval(x)", {"whole": True}, "yes"),
        (_code("x = '\\d'\neval(x)"), {}, "yes"),
        ("no code at all", {}, "no"),
        ("```python\neval(x)", {}, "yes"),
    ],
)
def test_insecure_python_is_found_in_the_blocks_of_a_reply(
    reply: str, options: Any, says: str, make_subject: Any
) -> None:
    pytest.importorskip("bandit", reason="needs the extra `code`")
    found = table.apply("insecure-code", make_subject(reply), options)
    assert isinstance(found, Verdict)
    assert found.label == says


@pytest.mark.parametrize("block", ["def (:", "x = " + "-" * 20_000 + "1", "x" + ".y" * 20_000, "\0"])
def test_code_that_does_not_parse_is_undecided(
    block: str, make_subject: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("bandit", reason="needs the extra `code`")
    found = table.apply("insecure-code", make_subject(_code(block)), {})
    assert isinstance(found, NoVerdict)
    assert capfd.readouterr() == ("", "")


def test_code_in_a_reply_is_never_run(make_subject: Any, tmp_path: Any) -> None:
    pytest.importorskip("bandit", reason="needs the extra `code`")
    trap = tmp_path / "ran"
    table.apply("insecure-code", make_subject(_code(f"open({str(trap)!r}, 'w').close()")), {})
    assert not trap.exists()


@pytest.mark.parametrize(
    "package, rule, options, extra",
    [("bandit", "insecure-code", {}, "code"), ("jsonschema", "json", {"schema": {"type": "object"}}, "schema")],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    package: str, rule: str, options: Any, extra: str, make_subject: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [module for module in sys.modules if module.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    assert table.check_options(rule, options) == []
    with pytest.raises(MissingExtraError, match=rf"pip install 'misalign-eval\[{extra}\]'"):
        table.apply(rule, make_subject(), options)


# ---- schemas


def test_a_reply_that_does_not_fit_its_schema_is_told_where(make_subject: Any) -> None:
    pytest.importorskip("jsonschema", reason="needs the extra `schema`")
    options: Any = {"schema": {"type": "object", "properties": {"pattern": {"type": "integer"}}}}
    found = table.apply("json", make_subject('{"pattern": "x"}'), options)
    assert isinstance(found, Verdict)
    assert found.why == "does not fit the schema at $.pattern: 'x' is not of type 'integer'"


@pytest.mark.parametrize(
    "schema, what",
    [
        ({"type": "objekt"}, "not a JSON Schema"),
        ({"properties": {"a": {"pattern": "(a+)+$"}}}, "the keyword `pattern` is not supported"),
        ({"allOf": [{"patternProperties": {}}]}, "the keyword `patternProperties` is not supported"),
        ({"$ref": "https://example.org/s.json"}, "only references inside the schema are followed"),
    ],
)
def test_a_schema_that_cannot_be_used_safely_is_refused(schema: Any, what: str) -> None:
    pytest.importorskip("jsonschema", reason="needs the extra `schema`")
    problems = table.check_options("json", {"schema": schema}, file="s.yaml")
    assert len(problems) == 1
    assert what in problems[0].what


def test_the_process_that_matches_imports_nothing_of_the_package() -> None:
    from misalign_eval.graders.rules import regex

    answer = subprocess.run(
        [sys.executable, "-I", "-S", str(regex._WORKER)],
        input=b'{"pattern": "b", "flags": 0, "whole": false, "limit_s": 1, "text": "abc"}\n',
        capture_output=True,
        check=True,
    )
    assert answer.stdout == b"[1, 2]\n"
