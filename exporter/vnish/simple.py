"""The simple documented shape: ``GET /summary`` at the root, hashrates as text with their unit.

    {"summary": {"hashrate": "9.5 GH/s", "temperature": {"chip": 75, "board": 65}, "power": 3400,
                 "uptime": 86400, "status": "mining"},
     "chips": [{"id": 1, "hashrate": "26 MH/s", "temperature": 75, "status": "active"}],
     "chains": [{"id": 0, "chips": 120, "hashrate": "3.2 GH/s", "temperature": 75, "status": "healthy"}]}

``temperature`` is a number (the chips') or an object. The three parts stand side by side in ``/summary``, or
apart under ``/summary``, ``/chips`` and ``/chains``, each bare or under its own name; the chains may also
stand inside the summary, and their ``chips`` may be the chips themselves, which then have a board. No
firmware in the field is known to answer this; it exists in integration guides and in what was built after
them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from exporter import catalogue, units
from exporter.errors import ProbeError, Reason
from exporter.fields import Fields, items
from exporter.http import Client
from exporter.vnish.access import no_such_path
from exporter.vnish.details import (
    MAX_BYTES,
    MAX_CHIPS,
    MAX_CHIPS_OF_MINER,
    bounded,
    column,
    labels,
    part_number,
)
from exporter.vnish.reading import Board, BoardDetail, Chips, Identity, MinerReading, Range

_BOARD_STATES = {"healthy": "mining", "active": "mining", "ok": "mining", "online": "mining"}
_STATES = {
    "active": "mining",
    "running": "mining",
    "online": "mining",
    "idle": "stopped",
    "paused": "stopped",
}
_GRADES = {
    **dict.fromkeys(("active", "healthy", "ok", "online"), "grey"),
    **dict.fromkeys(("weak", "warning", "degraded"), "orange"),
    **dict.fromkeys(("inactive", "failed", "dead", "error", "offline"), "red"),
    **{grade: grade for grade in catalogue.CHIP_GRADES},
}


@dataclass(slots=True)
class Simple:
    """Reads one miner through the simple shape."""

    clock: Callable[[], float]
    boards: bool = True
    chips: bool = True
    chips_interval: float = 0.0
    algorithm: str | None = None
    _absent: set[str] = field(default_factory=set)
    # Chips from a path of their own, and when they were read.
    _chips: list[BoardDetail] = field(default_factory=list)
    _chips_read_at: float = -math.inf

    async def read(self, client: Client) -> MinerReading:
        """One reading from ``/summary``, and from ``/chains``, ``/chips`` and ``/status`` what it leaves out.

        Raises:
            ProbeError: ``/summary`` did not answer, or with another shape.
        """
        odd: Counter[str] = Counter()
        data = await client.get_json("/summary", max_bytes=MAX_BYTES)
        if not looks_simple(data):
            raise ProbeError(Reason.BAD_SHAPE, "/summary is not the simple shape")
        outer = Fields(data, "summary", odd)
        summary = outer.object("summary") if "summary" in outer else outer
        reading = MinerReading(Identity(api="simple", model=summary.text("model")), unexpected=odd)
        reading.hashrate_in_words = True
        reading.endpoints["summary"] = True
        reading.identity.algorithm = summary.text("algorithm") or self.algorithm
        _summary(reading, summary)
        if reading.state is None:
            status = await self._optional(client, reading, "status")
            if isinstance(status, dict):
                _state(reading, Fields(status, "status", odd))
        chains, chips = (_listed(part, outer, summary) for part in ("chains", "chips"))
        if chains is None and self.boards:
            chains = await self._optional(client, reading, "chains")
        if self.chips:
            await self._read_chips(client, reading, chains, chips)
        if self.boards and chains is not None:
            reading.boards = [_board(chain) for chain in items(chains, "chains", odd)]
        return reading

    async def _read_chips(self, client: Client, reading: MinerReading, chains: Any, chips: Any) -> None:
        """The chips: inside the *chains*, beside them, or under a path of their own on its own rhythm."""
        odd = reading.unexpected
        reading.details = _nested(chains, odd) or _loose(chips, odd)
        reading.details_age = 0.0
        if reading.details or chips is not None:
            return
        if self.clock() - self._chips_read_at >= self.chips_interval:
            self._chips = _loose(await self._optional(client, reading, "chips"), odd)
            if not self._chips and chains is None and not self.boards:
                # Nobody wants the boards, so they were not asked for; but the chips may be inside them.
                self._chips = _nested(await self._optional(client, reading, "chains"), odd)
            if not self._chips and False in reading.endpoints.values():
                return
            self._chips_read_at = self.clock()
        reading.details = self._chips
        reading.details_age = self.clock() - self._chips_read_at

    def forget(self) -> None:
        """Ask again for what was absent."""
        self._absent.clear()
        self._chips = []
        self._chips_read_at = -math.inf

    async def _optional(self, client: Client, reading: MinerReading, name: str) -> Any:
        """What ``/NAME`` answers, bare or under that name; what is not there is not asked for again."""
        if name in self._absent:
            return None
        try:
            data = await client.get_json(f"/{name}", max_bytes=MAX_BYTES)
        except ProbeError as error:
            if no_such_path(client, error):
                self._absent.add(name)
            else:
                reading.endpoints[name] = False
            return None
        reading.endpoints[name] = True
        return data[name] if isinstance(data, dict) and name != "status" and name in data else data


def looks_simple(data: Any) -> bool:
    """Whether a decoded ``/summary`` is of this shape.

    Its hashrate is text with a unit; a summary that names itself so may know a state and no hashrate.
    """
    if not isinstance(data, dict):
        return False
    inner = data.get("summary", data)
    if not isinstance(inner, dict):
        return False
    if inner is not data and inner.get("hashrate") is None:
        return isinstance(inner.get("status"), str)
    return isinstance(inner.get("hashrate"), str)


def _listed(part: str, outer: Fields, summary: Fields) -> Any:
    """A list beside the summary or inside it; a number there is how many there are."""
    for place in (outer, summary):
        if isinstance(found := place.raw(part), list):
            return found
        if not isinstance(found, int | None):
            place.odd(part)
    return None


def _summary(reading: MinerReading, summary: Fields) -> None:
    reading.hashrate = _hashrate(summary, "hashrate")
    reading.power = summary.number("power")
    _state(reading, summary)
    uptime = summary.raw("uptime")
    reading.uptime = units.uptime_seconds(uptime) if isinstance(uptime, str) else summary.number("uptime")
    reading.chip_temperature, reading.pcb_temperature = _temperatures(summary)
    if isinstance(summary.raw("temperature"), dict):
        temperature = summary.object("temperature")
        for position in ("inlet", "outlet"):
            celsius = temperature.number(f"water_{position}")
            if celsius is not None:
                reading.water[position] = celsius


def _temperatures(fields: Fields) -> tuple[Range, Range]:
    """The chips' and the board's. 0 is no reading."""
    if not isinstance(fields.raw("temperature"), dict):
        return Range(None, fields.number("temperature") or None), Range()
    temperature = fields.object("temperature")
    return Range(None, temperature.number("chip") or None), Range(None, temperature.number("board") or None)


def _state(reading: MinerReading, fields: Fields) -> None:
    state = fields.choice("status", (*catalogue.MINER_STATES, *_STATES))
    reading.state = _STATES.get(state, state) if state else None


def _board(chain: Fields) -> Board:
    state = chain.choice("status", (*catalogue.BOARD_STATES, *_BOARD_STATES))
    chip_temperature, pcb_temperature = _temperatures(chain)
    chips = chain.raw("chips")
    listed = isinstance(chips, list)
    return Board(
        number=part_number(chain.number("id")),
        state=_BOARD_STATES.get(state, state) if state else None,
        hashrate=_hashrate(chain, "hashrate"),
        chip_temperature=chip_temperature,
        pcb_temperature=pcb_temperature,
        grades=_count(chips) if listed else {},
        chips_expected=None if listed else chain.number("chips"),
    )


def _count(chips: list[Any]) -> dict[str, float]:
    """How many chips there are of each grade; nothing if one has none that is known."""
    grades = Counter(_grade_of(chip) for chip in chips[:MAX_CHIPS] if isinstance(chip, dict))
    if not grades or None in grades:
        return {}
    return {grade: float(grades[grade]) for grade in catalogue.CHIP_GRADES}


def _grade_of(chip: dict[str, Any]) -> str | None:
    status = chip.get("status")
    return _GRADES.get(status) if isinstance(status, str) else None


def _nested(chains: Any, odd: Counter[str]) -> list[BoardDetail]:
    """The chips that stand inside their chains; what else is in those is read with the boards."""
    found = []
    for chain in items(chains, "chains", Counter()):
        chips = chain.raw("chips")
        if isinstance(chips, list) and (made := _chips(chips, MAX_CHIPS, odd)):
            found.append(BoardDetail(part_number(chain.number("id")), made))
    return bounded(found, "chains", odd)


def _loose(chips: Any, odd: Counter[str]) -> list[BoardDetail]:
    """Chips of which nobody says whose they are."""
    if isinstance(chips, list):
        made = _chips(chips, MAX_CHIPS_OF_MINER, odd)
        return [BoardDetail("", made)] if made else []
    if chips is not None:
        odd["chips"] += 1
    return []


def _chips(chips: list[Any], most: int, odd: Counter[str]) -> Chips | None:
    """The first *most* chips of a list."""
    if len(chips) > most:
        odd["chips"] += 1
    known = [chip for chip in chips[:most] if isinstance(chip, dict)]
    if not known:
        return None
    unknown: list[float | None] = [None] * len(known)
    ids, rates, celsius = ([chip.get(key) for chip in known] for key in ("id", "hashrate", "temperature"))
    return Chips(
        numbers=labels(tuple(column(ids, 1.0, odd))),
        hashrate=[_rate(printed, odd) for printed in rates],
        temperature=[value or None for value in column(celsius, 1.0, odd)],
        frequency=unknown,
        voltage=unknown,
        hardware_errors=unknown,
        throttled=unknown,
        grade=tuple(_grade(chip, odd) for chip in known),
    )


def _rate(printed: Any, odd: Counter[str]) -> float | None:
    value = units.hashrate(printed) if isinstance(printed, str) else None
    if value is None and printed is not None:
        odd["chips[].hashrate"] += 1
    return value


def _grade(chip: dict[str, Any], odd: Counter[str]) -> str | None:
    grade = _grade_of(chip)
    if grade is None and chip.get("status") is not None:
        odd["chips[].status"] += 1
        return units.clean(chip["status"], 32) if isinstance(chip["status"], str) else None
    return grade


def _hashrate(fields: Fields, key: str) -> float | None:
    printed = fields.text(key)
    if printed is None:
        return None
    value = units.hashrate(printed)
    if value is None:
        fields.odd(key)
    return value
