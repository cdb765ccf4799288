"""A secret is found in whatever way a server's libraries write it, and nothing else is touched."""

import base64
import html
import json
import time
from urllib.parse import quote, quote_plus

import pytest

from misalign_eval.providers.keys import Key, Redactor
from misalign_eval.providers.transport import HttpAnswer, JsonObject, RedactingTransport, decode

KEY = "sk-Zq7/tR+u9W==kLmN0pQ2rS4xYvB6"
AS_NET_WRITES = KEY.replace("+", "\\u002B").replace("/", "\\u002F").replace("=", "\\u003D")
ALL_ESCAPED = "".join(f"\\u{ord(sign):04X}" for sign in KEY)
NESTED = json.dumps(json.dumps(f'{{"a": "{AS_NET_WRITES}"}}'))
ENTITIES = "".join(f"&#{ord(sign)};" for sign in KEY)


@pytest.mark.parametrize(
    "written",
    [
        KEY,
        KEY.upper(),
        KEY.lower(),
        KEY.replace("/", "\\/"),
        AS_NET_WRITES,
        AS_NET_WRITES.lower(),
        ALL_ESCAPED,
        f"\\u0073{KEY[1:]}",
        quote(KEY),
        quote(KEY, safe=""),
        quote(KEY, safe="").lower(),
        quote_plus(KEY),
        quote(quote(KEY, safe="")),
        "".join(f"%{ord(sign):02x}" for sign in KEY),
        ENTITIES,
        html.escape(ENTITIES),
        KEY.replace("+", "&#x2B;").replace("/", "&sol;").replace("=", "&#061"),
    ],
)
def test_every_spelling_is_blotted_out_whole(written: str) -> None:
    assert Redactor([KEY]).text(f"before {written} after") == "before [key] after"


def test_json_within_json_loses_it_and_stays_json() -> None:
    left = decode(Redactor([KEY]).content(NESTED.encode()))
    assert isinstance(left, str)
    assert json.loads(json.loads(left)) == {"a": "[key]"}


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("user", ["", ":", "u:", "me:", "me:?"])
@pytest.mark.parametrize("after", ["", "\n", "\n\n", "?x=ÿ"])
def test_its_base64_is_found_whatever_stands_around_it(encode: object, user: str, after: str) -> None:
    assert callable(encode)
    whole = encode(f"{user}{KEY}{after}".encode()).decode()
    left = Redactor([KEY]).text(whole)
    before, mark, rest = left.partition("[key]")
    assert mark
    assert whole.startswith(before)
    assert len(before) <= -(-len(user) * 8 // 6) + 1
    assert len(rest) <= -(-len(after.encode()) * 8 // 6) + 4  # a part of one character of the key, and padding


@pytest.mark.parametrize(
    "secret", ['a"quoted"key', "back\\slash\\key", "p@ss word!", "sécrèt-wörd", "🙂smiling-key", "&amp;%25key"]
)
def test_secrets_of_any_characters_are_found_as_json_addresses_and_pages_write_them(secret: str) -> None:
    blotter = Redactor([secret])
    forms = [secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], html.escape(secret)]
    forms += [quote(secret, safe=""), quote_plus(secret), "".join(f"&#x{ord(sign):x};" for sign in secret)]
    assert [blotter.text(f"<{form}>") for form in forms] == ["<[key]>"] * len(forms)


def test_what_is_no_key_stays_the_very_same_object() -> None:
    content = b'{"a": "50% of \\u2019 &amp; \\/ sk-Zq7 and [key]", "b": "' + KEY[:-1].encode() + b'"}'
    assert Redactor([KEY]).content(content) is content


def test_short_words_are_left_alone_and_longer_secrets_come_first() -> None:
    assert Redactor(["none", ""]).text("none") == "none"
    assert Redactor(["abcdefgh", "abcdefgh-ijkl"]).text("abcdefgh-ijkl abcdefgh") == "[key] [key]"


@pytest.mark.parametrize("page", ["\\" * 200_000 + "\\u", "%25" * 70_000, "&amp;" * 40_000, KEY[:-1] * 6_000 + "%"])
def test_a_page_made_to_be_slow_to_search_is_searched_in_time(page: str) -> None:
    start = time.process_time()
    assert Redactor([KEY]).text(page) == page
    assert time.process_time() - start < 2


class Echo:
    """A wire that answers with one body and one head."""

    def __init__(self, content: str, headers: dict[str, str]) -> None:
        self.answer = HttpAnswer(200, headers, content.encode())

    async def post(self, path: str, body: JsonObject) -> HttpAnswer:
        return self.answer

    async def get(self, path: str) -> HttpAnswer:
        return self.answer

    async def close(self) -> None:
        pass


@pytest.mark.parametrize("written", [KEY, AS_NET_WRITES, ALL_ESCAPED])
async def test_nothing_that_json_turns_into_the_key_leaves_the_wire(written: str) -> None:
    content = f'{{"{written}": ["{written}", {{"model": "m-{written}\\n"}}]}}'
    wire = RedactingTransport(Echo(content, {"X-Id": f"r-{quote(KEY, safe='').lower()}", "X-B": "b"}), Key("K", KEY))
    answer = await wire.post("/x", {})
    assert decode(answer.content) == {"[key]": ["[key]", {"model": "m-[key]\n"}]}
    assert dict(answer.headers) == {"x-id": "r-[key]", "x-b": "b"}
