"""What systemd is told, where it runs the exporter: that it is ready, that it is alive, and how things are.

The protocol is that of sd_notify(3): datagrams to the socket that ``NOTIFY_SOCKET`` names.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator


@contextlib.asynccontextmanager
async def ready() -> AsyncIterator[None]:
    """Ready inside, and stopping afterwards.

    The watchdog is fed by the event loop that answers scrapes, so that one which hangs is started again.
    """
    _tell("READY=1")
    feeder = asyncio.create_task(_feed())
    try:
        yield
    finally:
        feeder.cancel()
        _tell("STOPPING=1")


def show(status: str) -> None:
    """The line of ``systemctl status`` from now on."""
    _tell(f"STATUS={status}")


async def _feed() -> None:
    limit = os.environ.get("WATCHDOG_USEC", "")
    if not limit.isdecimal() or os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return
    while True:
        _tell("WATCHDOG=1")
        await asyncio.sleep(int(limit) / 1e6 / 2)


def _tell(text: str) -> None:
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return
    # A service whose manager does not listen serves all the same.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.connect("\0" + path[1:] if path.startswith("@") else path)
        manager.sendall(text.encode())
