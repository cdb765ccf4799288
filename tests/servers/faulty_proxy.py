"""An HTTP proxy on loopback that misbehaves as told: absolute-form requests for http, CONNECT for https.

    python tests/servers/faulty_proxy.py [--port 0] [--password WORD] [--hold-s 30]

The user name in the proxy's address says how it behaves, so that one proxy serves every test:
    http://healthy:WORD@127.0.0.1:PORT          does what it is asked
    http://fault-NAME:WORD@127.0.0.1:PORT       has that accident every time
    http://once-NAME:WORD@127.0.0.1:PORT        at its first two exchanges of each kind, then does what it is asked
    http://mixed-PERCENT:WORD@127.0.0.1:PORT    at that share of exchanges has one of HEALING, drawn by their number
Another password, or none, is answered with 407.

GET /asked, asked without a proxy, tells each exchange as [user, method, target, names of headers].
"""

import argparse
import asyncio
import base64
import json
import struct
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from socket import SO_LINGER, SOL_SOCKET, socket
from urllib.parse import urlsplit

from tests.servers.chat_server import fraction

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))


PAGES = {"403": "Forbidden", "502": "Bad Gateway", "503": "Service Unavailable", "504": "Gateway Timeout"}
HEALING = ("502", "504", "close", "close-tunnel", "reset-body", "rubbish")
FAULTS = (
    "407", "403", "502", "503", "504", "close", "hang", "rubbish", "portal", "echo", "close-tunnel", "hang-tunnel",
    "reset-body", "dribble", "headers",
)  # fmt: skip
FIRST = 2
REQUEST = 200  # bytes that a client has sent once it has shaken hands and asked something


class Proxy:
    """What it was asked, and how it answers."""

    def __init__(self, password: str, hold_s: float) -> None:
        self.password = password
        self.hold_s = hold_s
        self.asked: list[tuple[str, str, str, list[str]]] = []
        self.times: Counter[tuple[str, bool]] = Counter()

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client, until either side has enough."""
        with suppress(ConnectionError, asyncio.IncompleteReadError, ValueError):
            while await self.exchange(reader, writer):
                pass
        writer.close()

    async def exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request; gives whether another may follow."""
        head = await reader.readuntil(b"\r\n\r\n")
        line, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = line.split(" ", 2)
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if target == "/asked":
            writer.write(page(200, json.dumps(self.asked)))
            return True
        sent = headers.pop("proxy-authorization", "")
        user, _, password = base64.b64decode(sent.removeprefix("Basic ")).decode().partition(":")
        self.asked.append((user, method, target, sorted(headers)))
        name = self.chosen(user, is_tunnel=method == "CONNECT") if password == self.password else "407"
        exchange = Exchange(reader, writer, name, self.hold_s, sent)
        if await exchange.refused():
            return False
        return await (exchange.tunnel(target) if method == "CONNECT" else exchange.forward(method, target, lines, body))

    def chosen(self, user: str, *, is_tunnel: bool) -> str:
        """The accident that this exchange meets, if any."""
        kind, _, name = user.partition("-")
        self.times[user, is_tunnel] += 1
        number = self.times[user, is_tunnel]
        if kind == "mixed":
            met = fraction(number, is_tunnel) < int(name) / 100
            return HEALING[number % len(HEALING)] if met else ""
        return name if kind == "fault" or (kind == "once" and number <= FIRST) else ""


class Exchange:
    """One request and the accident that it meets."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, hold_s: float, sent: str
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.name = name
        self.hold_s = hold_s
        self.sent = sent
        self.asked = 0  # bytes of the client in a tunnel

    async def refused(self) -> bool:
        """Whether the accident comes in place of any service."""
        match self.name:
            case "407":
                self.writer.write(page(407, "Who are you?", "proxy-authenticate: Basic realm=x\r\n"))
            case "403" | "502" | "503" | "504":
                self.writer.write(page(int(self.name), f"<html><title>{PAGES[self.name]}</title></html>"))
            case "close":
                pass
            case "hang":
                await asyncio.sleep(self.hold_s)
            case "rubbish":
                self.writer.write(b"\x00\xff\x1b[2J what? " + self.sent.encode() + b"\r\n\r\n")
            case "echo":
                told = base64.b64decode(self.sent.removeprefix("Basic ")).decode()
                more = f"x-request-id: {told}\r\n"
                self.writer.write(page(502, f"You said {told}, which is {self.sent}", more, reason=told))
            case "portal":
                self.writer.write(page(200, "<html><title>Pay for the network</title></html>"))
            case _:
                return False
        return True

    async def forward(self, method: str, target: str, lines: list[str], body: bytes) -> bool:
        """Ask the server in the client's place."""
        parts = urlsplit(target)
        server, to_server = await asyncio.open_connection(parts.hostname, parts.port or 80)
        kept = [line for line in lines if line and not line.lower().startswith("proxy-")]
        to_server.write("\r\n".join([f"{method} {parts.path} HTTP/1.1", *kept, "", ""]).encode("latin-1") + body)
        head = await server.readuntil(b"\r\n\r\n")
        length = next(item for item in head.lower().split(b"\r\n") if item.startswith(b"content-length: "))
        whole = await server.readexactly(int(length.split()[1]))
        to_server.close()
        if self.name == "headers":
            head = self.strange(head)
        return await self.give(head + whole, len(head) + len(whole) // 2) and self.name != "headers"

    def strange(self, head: bytes) -> bytes:
        """Without the length, and with names that are none of the server's."""
        told = base64.b64decode(self.sent.removeprefix("Basic ")).decode()
        kept = [item for item in head.split(b"\r\n")[:-2] if not item.lower().startswith(b"content-")]
        more = f"via: 1.1 {told}\r\nx-request-id: {told}\r\nretry-after: 86400\r\nset-cookie: a={told}"
        return b"\r\n".join([*kept, more.encode(), b"connection: close", b"", b""])

    async def give(self, answer: bytes, place: int) -> bool:
        """Write the answer, or half of it; gives whether the connection is still good."""
        match self.name:
            case "close-tunnel":
                return False
            case "hang-tunnel":
                self.writer.write(answer[:place])
                await asyncio.sleep(self.hold_s)
                return False
            case "reset-body":
                self.writer.write(answer[:place])
                await self.writer.drain()
                await asyncio.sleep(0.01)
                reset(self.writer)
                return False
            case "dribble":
                for item in answer:
                    self.writer.write(bytes([item]))
                    await self.writer.drain()
                    await asyncio.sleep(1.0)
                return True
            case _:
                self.writer.write(answer)
                await self.writer.drain()
                return True

    async def tunnel(self, target: str) -> bool:
        """Carry bytes to and fro; an accident befalls the answer to the first request inside."""
        host, _, port = target.rpartition(":")
        server, to_server = await asyncio.open_connection(host, int(port))
        more = b"via: 1.1 x\r\nretry-after: 86400\r\n" if self.name == "headers" else b""
        self.writer.write(b"HTTP/1.1 200 Connection established\r\n" + more + b"\r\n")
        away = asyncio.ensure_future(self.carry_away(to_server))
        try:
            while data := await server.read(65536):
                is_answer = self.asked > REQUEST
                if not is_answer or self.name in ("", "headers"):
                    self.writer.write(data)
                elif not await self.give(data, len(data) // 2):
                    break
        finally:
            away.cancel()
            to_server.close()
        return False

    async def carry_away(self, to_server: asyncio.StreamWriter) -> None:
        """What the client says after its first words, which open the handshake, is counted."""
        to_server.write(await self.reader.read(65536))
        while data := await self.reader.read(65536):
            self.asked += len(data)
            to_server.write(data)
        to_server.close()


def page(status: int, body: str, more: str = "", reason: str = "X") -> bytes:
    """A whole answer of the proxy's own."""
    head = (
        f"HTTP/1.1 {status} {reason}\r\ncontent-type: text/html\r\n{more}content-length: {len(body.encode())}\r\n\r\n"
    )
    return (head + body).encode()


def reset(writer: asyncio.StreamWriter) -> None:
    """Close so that the other side is told of a reset, not of an end."""
    wire = writer.get_extra_info("socket")
    socket.setsockopt(wire._sock, SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def serve(port: int, proxy: Proxy) -> None:
    """Listen on loopback until killed."""
    server = await asyncio.start_server(proxy.meet, "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--password", default="hush-hush-hush")
    parser.add_argument("--hold-s", type=float, default=30.0)
    options = parser.parse_args()
    asyncio.run(serve(options.port, Proxy(options.password, options.hold_s)))


if __name__ == "__main__":
    main()
