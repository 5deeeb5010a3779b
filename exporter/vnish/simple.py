"""The simple documented shape: ``GET /summary`` at the root, hashrates as text with their unit.

    {"summary": {"hashrate": "9.5 GH/s", "temperature": {"chip": 75, "board": 65}, "power": 3400,
                 "uptime": 86400, "status": "mining"},
     "chips": [{"id": 1, "hashrate": "26 MH/s", "temperature": 75, "status": "active"}],
     "chains": [{"id": 0, "chips": 120, "hashrate": "3.2 GH/s", "temperature": 75, "status": "healthy"}]}

``temperature`` is a number (the chips') or an object. ``/summary`` may be the inner object alone, and may
hold the chains itself or leave them to ``/chains``. No firmware in the field is known to answer this; it
exists in integration guides and in what was built after them.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from exporter import catalogue, units
from exporter.errors import ProbeError, Reason
from exporter.fields import Fields, items
from exporter.http import Client
from exporter.vnish.reading import Board, Identity, MinerReading, Range

_BOARD_STATES = {"healthy": "mining", "active": "mining", "ok": "mining", "online": "mining"}
_STATES = {
    "active": "mining",
    "running": "mining",
    "online": "mining",
    "idle": "stopped",
    "paused": "stopped",
}


@dataclass(slots=True)
class Simple:
    """Reads one miner through the simple shape."""

    boards: bool = True
    algorithm: str | None = None
    _absent: set[str] = field(default_factory=set)

    async def read(self, client: Client) -> MinerReading:
        """One reading from ``/summary``, with ``/chains`` and ``/status`` where it leaves them out.

        Raises:
            ProbeError: ``/summary`` did not answer, or with another shape.
        """
        odd: Counter[str] = Counter()
        data = await client.get_json("/summary")
        if not looks_simple(data):
            raise ProbeError(Reason.BAD_SHAPE, "/summary is not the simple shape")
        outer = Fields(data, "summary", odd)
        summary = outer.object("summary") if "summary" in outer else outer
        reading = MinerReading(Identity(api="simple", model=summary.text("model")), unexpected=odd)
        reading.endpoints["summary"] = True
        reading.identity.algorithm = summary.text("algorithm") or self.algorithm
        _summary(reading, summary)
        if reading.state is None:
            status = await self._optional(client, reading, "status")
            if isinstance(status, dict):
                _state(reading, Fields(status, "status", odd))
        if self.boards:
            chains = data.get("chains")
            if chains is None:
                chains = await self._optional(client, reading, "chains")
                if isinstance(chains, dict):
                    chains = chains.get("chains")
            if chains is not None:
                reading.boards = [_board(chain) for chain in items(chains, "chains", odd)]
        return reading

    def forget(self) -> None:
        """Ask again for what was absent."""
        self._absent.clear()

    async def _optional(self, client: Client, reading: MinerReading, name: str) -> Any:
        if name in self._absent:
            return None
        try:
            data = await client.get_json(f"/{name}")
        except ProbeError as error:
            if error.reason in (Reason.NOT_JSON, Reason.HTTP_STATUS):
                self._absent.add(name)
            else:
                reading.endpoints[name] = False
            return None
        reading.endpoints[name] = True
        return data


def looks_simple(data: Any) -> bool:
    """Whether a decoded ``/summary`` is of this shape: a hashrate that is text with a unit."""
    if not isinstance(data, dict):
        return False
    inner = data.get("summary", data)
    return isinstance(inner, dict) and isinstance(inner.get("hashrate"), str)


def _summary(reading: MinerReading, summary: Fields) -> None:
    reading.hashrate = _hashrate(summary, "hashrate")
    reading.power = summary.number("power")
    _state(reading, summary)
    uptime = summary.raw("uptime")
    reading.uptime = units.uptime_seconds(uptime) if isinstance(uptime, str) else summary.number("uptime")
    if isinstance(summary.raw("temperature"), dict):
        temperature = summary.object("temperature")
        reading.chip_temperature = Range(None, temperature.number("chip"))
        reading.pcb_temperature = Range(None, temperature.number("board"))
        for position in ("inlet", "outlet"):
            celsius = temperature.number(f"water_{position}")
            if celsius is not None:
                reading.water[position] = celsius
    else:
        reading.chip_temperature = Range(None, summary.number("temperature"))


def _state(reading: MinerReading, fields: Fields) -> None:
    state = fields.choice("status", (*catalogue.MINER_STATES, *_STATES))
    reading.state = _STATES.get(state, state) if state else None


def _board(chain: Fields) -> Board:
    state = chain.choice("status", (*catalogue.BOARD_STATES, *_BOARD_STATES))
    number = chain.number("id")
    return Board(
        number="?" if number is None else f"{number:.15g}",
        state=_BOARD_STATES.get(state, state) if state else None,
        hashrate=_hashrate(chain, "hashrate"),
        chip_temperature=Range(None, chain.number("temperature")),
    )


def _hashrate(fields: Fields, key: str) -> float | None:
    printed = fields.text(key)
    if printed is None:
        return None
    value = units.hashrate(printed)
    if value is None:
        fields.odd(key)
    return value
