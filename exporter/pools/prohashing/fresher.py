"""An account that is read both ways: of each figure the fresher one counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from exporter.errors import ProbeError
from exporter.http import Client
from exporter.pools import PoolSource
from exporter.pools.prohashing.relay import Relay
from exporter.pools.reading import PoolReading

if TYPE_CHECKING:
    from exporter.pools.prohashing.wamp import Wamp

# While what was heard is younger than this, the relay knows no better and is not asked.
FRESH_SECONDS = 120.0


class Fresher(PoolSource):
    """Reads what the real-time interface told, and asks the relay while that is nothing fresh."""

    def __init__(self, wamp: Wamp, relay: Relay, wall_clock: Callable[[], float]) -> None:
        self.endpoint = relay.endpoint
        self._wamp = wamp
        self._relay = relay
        self._wall_clock = wall_clock

    def close(self) -> None:
        """End the connection of the real-time interface."""
        self._wamp.close()

    async def read(self, client: Client) -> PoolReading:
        """One reading; no request, or the relay's two.

        Raises:
            ProbeError: neither has figures; of the relay's reason, since it was asked now.
        """
        self._wamp.start()
        try:
            heard = self._wamp.latest()
        except ProbeError:
            told = await self._relay.read(client)
            told.parts = {"wamp": False, "relay": True}
            return told
        newest = max((one.timestamp or 0.0 for one in heard.profitability), default=0.0)
        if self._wall_clock() - newest < FRESH_SECONDS:
            heard.parts["wamp"] = True
            return heard
        try:
            told = await self._relay.read(client)
        except ProbeError:
            heard.parts |= {"wamp": True, "relay": False}
            return heard
        heard.parts |= {"wamp": True, "relay": True}
        _take_newer(heard, told)
        return heard


def _take_newer(heard: PoolReading, told: PoolReading) -> None:
    """Put into *heard* the algorithms of which *told* has the newer figures."""
    by_algorithm = {one.algorithm: one for one in heard.profitability}
    for one in told.profitability:
        known = by_algorithm.get(one.algorithm)
        if known is None or (one.timestamp or 0.0) > (known.timestamp or 0.0):
            by_algorithm[one.algorithm] = one
    heard.profitability = list(by_algorithm.values())
    for kind, at in told.last_updates.items():
        heard.last_updates[kind] = max(at, heard.last_updates.get(kind, 0.0))
    heard.updating = heard.updating or told.updating
    heard.unexpected.update(told.unexpected)
