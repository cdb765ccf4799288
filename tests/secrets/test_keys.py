"""A key is found nowhere but where the user put it."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar
from urllib.parse import quote

import pytest

from misalign_eval.files import make_folder
from tests.hostile.typing_in import Ended, command
from tests.secrets.echo_server import serving
from tests.secrets.leaks import KEY, SHORT, SUITE, Searched, search, tried

IDENTIFIER = "gsk_Abcdef1234567890Ghijkl"  # a key that could be the name of a variable


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "s.yaml").write_text(SUITE)
    return tmp_path


@pytest.mark.slow
def test_no_file_line_or_error_holds_a_key_that_the_server_repeats() -> None:
    whole = Searched()
    with serving() as url:
        for provider, source, way in SHORT:
            whole.add(tried(provider, source, way, url))
    assert whole.found == []
    assert whole.files > 90
    assert whole.blotted > 50  # without which there would have been nothing to find


@pytest.mark.parametrize(
    "flags",
    [
        ["--base-url", f"http://user:{KEY}@127.0.0.1:9/v1"],
        ["--base-url", f"http://127.0.0.1:9/v1?api_key={KEY}"],
        ["--base-url", f"http://127.0.0.1:9/v1#{KEY}"],
        ["--base-url", f"{KEY}@127.0.0.1"],
        ["--base-url", "http://127.0.0.1:9/v1", "--api-key-env", KEY],
        ["--base-url", "http://127.0.0.1:9/v1", "--api-key-env", IDENTIFIER],
    ],
)
def test_a_key_on_the_command_line_is_refused_and_not_repeated(folder: Path, flags: list[str]) -> None:
    ended = command(
        folder, "run", "s.yaml", "--target", "openai-compatible/x", *flags, "--judge", "openai/x", "--out", "r"
    )
    assert ended.code == 2
    assert search(folder, [ended]).found == []
    assert IDENTIFIER not in ended.err


@pytest.mark.parametrize("variable", ["MY_KEY", "UNUSED_API_KEY"])
@pytest.mark.parametrize(
    "flags",
    [
        ["--label", f"k={KEY}"],
        ["--label", f"{KEY}=k"],
        ["--label", f"k=x{KEY.lower()}x"],
        ["--label", f"k={quote(KEY, safe='')}"],
        ["--label", KEY.rstrip("=")],
        ["--target", f"openai-compatible/{KEY}"],
        ["--judge", f"openai-compatible/{KEY}"],
        ["--base-url", f"http://127.0.0.1:9/{KEY}"],
        ["--judge-base-url", f"http://127.0.0.1:9/{KEY}"],
        ["--out", f"folder/{KEY}"],
        ["--output", f"{KEY}.html"],
        ["--tag", KEY],
        ["--definition", KEY],
        ["--reasoning-effort", KEY],
    ],
)
def test_a_known_key_in_any_flag_is_refused_before_anything_is_written(
    folder: Path, flags: list[str], variable: str
) -> None:
    at = "http://127.0.0.1:9/v1"
    line = f"run s.yaml --target openai-compatible/x --base-url {at} --judge openai-compatible/x --judge-base-url {at}"
    named = ["--api-key-env", variable] if variable == "MY_KEY" else []
    ended = command(folder, *line.split(), *named, *flags, env={variable: KEY.rstrip("=")})
    assert ended.code == 2
    assert f"misalign-eval: {flags[0]} holds the key of {variable}" in ended.err.replace("\n", " ")
    assert search(folder, [ended]).found == []
    assert [path.name for path in folder.iterdir()] == ["s.yaml"]


def test_the_key_of_a_model_in_the_settings_is_refused_in_a_label(folder: Path) -> None:
    (folder / "misalign-eval.yaml").write_text("targets: {it: {model: openai/x, api_key_env: MY_KEY}}\n")
    ended = command(folder, *f"run s.yaml --target it --judge it --label k={KEY}".split(), env={"MY_KEY": KEY})
    assert (ended.code, "--label holds the key of MY_KEY" in ended.err) == (2, True)
    assert search(folder, [ended]).found == []


def test_words_in_flags_that_happen_to_be_in_short_keys_are_no_keys(folder: Path) -> None:
    at = "http://127.0.0.1:9/v1"
    line = f"run s.yaml --target openai-compatible/x --base-url {at} --judge openai-compatible/x --judge-base-url {at}"
    ended = command(folder, *line.split(), "--label", "k=none", "--dry-run", env={"X_API_KEY": "none", "Y_API_KEY": ""})
    assert ended.code == 0, ended.err


def test_a_known_key_in_the_name_of_a_judge_is_refused_by_other_commands(folder: Path) -> None:
    line = ["calibrate", "misalignment", "--judge", f"openai/{KEY}"]
    ended = command(folder, *line, env={"MY_API_KEY": KEY})
    assert (ended.code, "--judge holds the key of MY_API_KEY" in ended.err) == (2, True)
    assert search(folder, [ended]).found == []


@pytest.mark.parametrize(
    "settings",
    [
        f"api_key_env: {IDENTIFIER}",
        f"base_url: 'http://user:{KEY}@h/v1'",
        f"base_url: 'http://h/v1?api_key={KEY}'",
        f"options: {{extra_body: {{api_key: '{KEY}'}}}}",
        f"options: {{extra_body: {{x-api-key: '{KEY}'}}}}",
        f"options: {{extra_body: {{Authorization: 'Token {KEY}'}}}}",
        f"options: {{extra_body: {{nested: [{{client_secret: '{KEY}'}}]}}}}",
        f"options: {{extra_body: {{note: 'Bearer {KEY}'}}}}",
        f"options: {{path: '/v1/x?api_key={KEY}'}}",
        f"options: {{extra_body: {{webhook: 'https://me:{KEY}@host/'}}}}",
    ],
)
def test_a_key_in_the_settings_is_refused_and_not_repeated(folder: Path, settings: str) -> None:
    model = f"targets:\n  it:\n    model: openai-compatible/x\n    {settings}\n"
    (folder / "misalign-eval.yaml").write_text(model)
    ended = [command(folder, *line.split()) for line in ("run s.yaml --target it --judge it --out r", "doctor")]
    (folder / "misalign-eval.yaml").unlink()
    assert ended[0].code == 2
    assert "misalign-eval.yaml:4: targets.it" in ended[0].err or "base URL" in ended[0].err
    assert search(folder, ended).found == []
    assert IDENTIFIER not in ended[0].err + ended[0].out


def test_names_of_variables_and_settings_of_sampling_are_no_keys(folder: Path) -> None:
    body = "{max_tokens: 5, eos_token: '</s>', stop_token_ids: [1], tokenizer: x, keyword: y, author: z}"
    lines = ["model: openai-compatible/x", "base_url: http://127.0.0.1:9/v1", "api_key_env: KEY_OF_THE_SERVER_NUMBER_2",
             f"options: {{extra_body: {body}}}"]  # fmt: skip
    (folder / "misalign-eval.yaml").write_text("\n    ".join(["targets:\n  it:", *lines, ""]))
    line = "run s.yaml --target it --judge it --dry-run"
    ended = command(folder, *line.split())
    assert ended.code == 0, ended.err


def test_an_internal_error_that_quotes_the_key_is_told_without_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError(f"header Authorization: Bearer {KEY} \x1b[2J")

    monkeypatch.setattr("misalign_eval.workflows.run.build", broken)
    at = "http://127.0.0.1:9/v1"
    line = f"run s.yaml --target openai-compatible/x --base-url {at} --judge openai-compatible/x --judge-base-url {at}"
    ended = command(folder, *line.split(), "--judge-api-key-env", "MY_KEY", "--out", "r", env={"MY_KEY": KEY})
    assert ended.code == 70
    assert "header Authorization: Bearer [key] \\x1b[2J" in ended.err
    assert search(folder, [ended]).found == []


@pytest.mark.parametrize(
    "variables",
    [
        {"HTTP_PROXY": f"http://user:{KEY}@127.0.0.1:9"},
        {"HTTP_PROXY": f"strange://user:{KEY}@127.0.0.1:9"},
        {"HTTP_PROXY": f"socks5://user:{KEY}@127.0.0.1:9"},
        {"HTTPS_PROXY": f"http://user:{KEY}@:x"},
        {"SSL_CERT_FILE": "/no/such/file"},
    ],
)
def test_what_is_wrong_with_proxies_is_told_without_their_passwords(folder: Path, variables: dict[str, str]) -> None:
    line = "run s.yaml --target openai-compatible/x --base-url http://model.invalid/v1 --judge openai-compatible/x"
    more = ["--judge-base-url", "http://model.invalid/v1", "--out", "r", "--timeout", "1"]
    done: list[Ended] = [command(folder, *line.split(), *more, env=variables), command(folder, "doctor", env=variables)]
    assert done[0].code in {2, 4}, done[0].err
    assert search(folder, done).found == []


@pytest.mark.parametrize("umask", [0, 0o022, 0o277, 0o777])
def test_a_folder_is_made_for_its_owner_alone_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        make_folder(tmp_path / "a" / "b" / "c")
        make_folder(tmp_path / "a" / "b")
    finally:
        os.umask(before)
    made = [tmp_path / name for name in ("a", "a/b", "a/b/c")]
    assert [path.stat().st_mode & 0o777 for path in made] == [0o700] * 3


def test_a_folder_that_is_there_keeps_its_rights(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(mode=0o750)
    (tmp_path / "file").touch()
    make_folder(tmp_path / "a")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o750
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "a", exist_ok=False)
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "file")


@pytest.mark.slow
@pytest.mark.parametrize("umask", [0, 0o022])
def test_what_commands_write_into_a_run_is_for_its_owner_alone(folder: Path, umask: int) -> None:
    at = ["--base-url", "http://127.0.0.1:9/v1"]
    before = os.umask(umask)
    try:
        with serving() as url:
            at[1] = url
            judge = ["--judge", "openai-compatible/second", "--judge-base-url", url]
            run = [
                "run",
                "s.yaml",
                "--target",
                "openai-compatible/x",
                *at,
                "--judge",
                "openai-compatible/x",
                "--judge-base-url",
                url,
            ]
            codes = [
                command(folder, *arguments, keys="1q").code
                for arguments in (
                    [*run, "--out", "run"],
                    [*run, "--out", "deep/part1", "--shard", "1/2"],
                    [*run, "--out", "deep/part2", "--shard", "2/2"],
                    ["merge", "deep/part1", "deep/part2", "--out", "merged"],
                    ["regrade", "run", *judge],
                    ["label", "run", "--labels", "1"],
                    ["calibrate", "misalignment", *judge, "--max-requests", "1"],
                    ["report", "run"],
                    ["gate", "run", "--max-rate", "99%"],
                    ["export", "run", "-o", "rows.jsonl"],
                    ["import", "rows.jsonl", "--out", "imported", "--ignore", "labels"],
                )
            ]
    finally:
        os.umask(before)
    assert 70 not in codes
    places = [folder / name for name in ("run", "deep", "merged", "imported")]
    open_to_others = [
        str(path.relative_to(folder))
        for place in places
        for path in (place, *place.rglob("*"))
        if path.stat().st_mode & 0o077
    ]
    assert open_to_others == []
    assert {path.name for path in (folder / "run").iterdir()} >= {
        "grades",
        "labels",
        "plan.jsonl",
        "replies.jsonl",
        "run.json",
    }


class _Repeats(BaseHTTPRequestHandler):
    """Answers every request with an error that holds the headers it came with."""

    seen: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.seen.append(str(self.headers))
        body = json.dumps({"error": {"message": f"bad headers: {self.headers}", "type": "invalid_request_error"}})
        self.send_response(400)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
@pytest.mark.parametrize("more", [{}, {"MY_KEY": "sk-the-right-key"}])
def test_headers_of_an_sdks_own_variable_reach_no_server_and_no_file(
    folder: Path, provider: str, more: dict[str, str]
) -> None:
    variable = f"{provider.upper()}_CUSTOM_HEADERS"
    _Repeats.seen.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Repeats)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        at = ["--base-url", f"http://127.0.0.1:{server.server_port}/v1"]
        key = ["--api-key-env", "MY_KEY"] if more else []
        models = ["--target", f"{provider}/m", *at, *key, "--judge", "openai-compatible/j", "--judge-base-url", at[1]]
        held = {variable: f"X-Gateway: {KEY}\nAuthorization: Bearer {KEY}", **more}
        ended = command(folder, "run", "s.yaml", *models, "--out", "r", env=held)
    finally:
        server.shutdown()
        server.server_close()
    assert (ended.code, bool(_Repeats.seen)) == (4, True)
    assert [headers for headers in _Repeats.seen if KEY in headers or "x-gateway" in headers.lower()] == []
    assert search(folder, [ended]).found == []
    assert f"{variable} is set, and its headers are not sent" in " ".join(ended.err.split())
