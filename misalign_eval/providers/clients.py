"""HTTP clients. Adapters in one event loop share one, so that target and judge on one server share its connections.

Two half-idle pools would cost more than one busy pool: each request looks at every idle connection of its pool.
"""

import asyncio
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import httpx2

_IDLE_S = 4.0  # servers on uvicorn drop an idle connection after 5 s; a request sent at that moment would be lost
CONNECT_S = 20.0


@dataclass(slots=True)
class _Shared:
    client: httpx2.AsyncClient
    users: int = 0


_SHARED: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[bool, _Shared]] = WeakKeyDictionary()


def open_client(*, verify: bool = True) -> httpx2.AsyncClient:
    """A client whose reads may last as long as the caller's own deadline. Redirects are answers, not followed.

    How many requests are in flight is bounded by whoever asks, not here.
    """
    return httpx2.AsyncClient(
        verify=verify,
        follow_redirects=False,
        timeout=httpx2.Timeout(None, connect=CONNECT_S),
        limits=httpx2.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=_IDLE_S),
    )


def borrow_client(*, verify: bool = True) -> httpx2.AsyncClient:
    """The client of the running event loop, to be given to `return_client`; one of its own where none runs."""
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return open_client(verify=verify)
    clients = _SHARED.setdefault(loop, {})
    if verify not in clients:
        clients[verify] = _Shared(open_client(verify=verify))
    clients[verify].users += 1
    return clients[verify].client


async def return_client(client: httpx2.AsyncClient) -> None:
    """Close a borrowed client if nobody else uses it."""
    clients = _SHARED.get(asyncio.get_running_loop(), {})
    for verify, shared in clients.items():
        if shared.client is client:
            shared.users -= 1
            if shared.users:
                return
            del clients[verify]
            break
    await client.aclose()
