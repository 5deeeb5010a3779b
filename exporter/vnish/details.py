"""Boards with their chips and sensors: ``/chains`` of 1.2, ``/boards`` of 1.3, ``/chips`` before 1.2.5.

Some three hundred chips are most of what a miner says, and their reading most of what a probe costs. So an
answer that is as the firmware's document has it is checked and parsed in one go; any other is read field by
field, with the same result for what is right in it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct
from msgspec.json import Decoder
from msgspec.structs import astuple

from exporter import catalogue, fields, units
from exporter.fields import MAX_ITEMS, Fields
from exporter.vnish.reading import Board, BoardDetail, Chips, Sensor

# Three hundred chips are some 40 KB.
MAX_BYTES = 512 * 1024
# More than any board and any miner has, and few enough to bound a page.
MAX_CHIPS = 512
MAX_CHIPS_OF_MINER = 2048
MAX_SENSORS = 64
_NEWER = ("id", "hr", "temp", "freq", "errs", "grade", "volt", "throttled")
# The names in /chips, whose chips have neither voltage nor throttling.
_OLDER = ("id", "hashrate", "temp", "freq", "errors", "status", "volt", "throttled")
_FLAGS = (0.0, 1.0)
_SENSOR_STATES = ("init", "ready", "measure", "error", "unknown")


class _Chip(Struct, gc=False):
    id: Annotated[int, Meta(ge=0, le=10**9)]
    hr: float
    temp: float
    freq: float
    errs: float
    grade: Literal[catalogue.CHIP_GRADES]  # type: ignore[valid-type]
    volt: float
    throttled: bool


class _Sensor(Struct, gc=False):
    state: Literal[_SENSOR_STATES] | None = None  # type: ignore[valid-type]
    loc: float | None = None
    board: float | None = None
    chip: float | None = None


class _Status(Struct, gc=False):
    state: Literal[catalogue.BOARD_STATES] | None = None  # type: ignore[valid-type]
    failure_message: str | None = None


class _Board(Struct):
    id: float | None = None
    freq: float | None = None
    hr_nominal: float | None = None
    hr_realtime: float | None = None
    status: _Status | None = None
    chips: Annotated[list[_Chip], Meta(max_length=MAX_CHIPS)] | None = None
    sensors: Annotated[list[_Sensor], Meta(max_length=MAX_SENSORS)] | None = None


_decoder = Decoder(Annotated[list[_Board], Meta(max_length=MAX_ITEMS)])


def decode(body: bytes) -> Any:
    """An answer of ``/chains`` or ``/boards``, for :func:`details`.

    Raises:
        ProbeError: as :func:`exporter.fields.decode`.
    """
    if not fields.small_numbers(body):
        try:
            return _decoder.decode(body)
        except (ValueError, RecursionError):
            pass
    return fields.decode(body)


def details(answer: Any, path: str, scale: float, odd: Counter[str]) -> list[BoardDetail]:
    """The boards of an answer; *scale* is the hashes per second in one unit of its hashrates."""
    if isinstance(answer, list) and answer and isinstance(answer[0], _Board):
        found = [_checked(board, scale) for board in answer]
    else:
        boards, expected = answer, None
        if path == "chips" and isinstance(answer, dict):
            boards = answer.get("chains")
            expected = Fields(answer, path, odd).number("chips_per_chain")
        found = [_board(board, scale, odd) for board in fields.items(boards, path, odd)]
        for board in found:
            board.chips_expected = expected
    return bounded(found, path, odd)


def bounded(boards: list[BoardDetail], path: str, odd: Counter[str]) -> list[BoardDetail]:
    """The same boards, without the chips of those that exceed what a miner may have."""
    count = 0
    for board in boards:
        count += len(board.chips.numbers) if board.chips else 0
        if count > MAX_CHIPS_OF_MINER:
            board.chips = None
            odd[f"{path}[].chips"] += 1
    return boards


def part_number(value: float | None) -> str:
    """A part's number as a label; an unnumbered part is told apart by nothing, so it is ``?``."""
    return "?" if value is None else f"{value:.15g}"


def _checked(board: _Board, scale: float) -> BoardDetail:
    chips = None
    if board.chips:
        ids, rates, celsius, mhz, errors, grades, millivolts, throttled = zip(
            *map(astuple, board.chips), strict=True
        )
        chips = Chips(
            numbers=labels(ids),
            hashrate=[rate * scale for rate in rates],
            temperature=[value or None for value in celsius] if 0.0 in celsius else celsius,
            frequency=[value * 1e6 for value in mhz],
            voltage=[value * 1e-3 for value in millivolts],
            hardware_errors=errors,
            throttled=list(map(_FLAGS.__getitem__, throttled)),
            grade=grades,
        )
    number = part_number(board.id)
    status = board.status or _Status()
    return BoardDetail(
        number,
        chips,
        [_sensor(sensor.state, sensor.loc, sensor.board, sensor.chip) for sensor in board.sensors or ()],
        Board(
            number,
            state=status.state,
            failure=units.clean(status.failure_message or "") or None,
            hashrate=None if board.hr_realtime is None else board.hr_realtime * scale,
            hashrate_nominal=None if board.hr_nominal is None else board.hr_nominal * scale,
            frequency=None if board.freq is None else board.freq * 1e6,
        ),
    )


def _sensor(state: str | None, location: float | None, board: float | None, chip: float | None) -> Sensor:
    # What does not measure has not done so yet, or is broken; its figures are no readings.
    measures = state == "measure"
    return Sensor(
        part_number(location),
        (board or None) if measures else None,
        (chip or None) if measures else None,
        None if state not in _SENSOR_STATES or state == "unknown" else state != "error",
    )


@lru_cache(maxsize=64)
def labels(ids: tuple[float | None, ...]) -> tuple[str, ...]:
    """Chip numbers as labels, the same object for all boards of one model."""
    return tuple(map(part_number, ids))


def _board(board: Fields, scale: float, odd: Counter[str]) -> BoardDetail:
    chips = board.raw("chips")
    if chips is not None and not isinstance(chips, list):
        board.odd("chips")
        chips = None
    known = [chip for chip in (chips or ())[:MAX_CHIPS] if isinstance(chip, dict)]
    sensors = [
        _sensor(
            sensor.choice("state", _SENSOR_STATES),
            sensor.number("loc"),
            sensor.number("board"),
            sensor.number("chip"),
        )
        for sensor in board.objects("sensors", MAX_SENSORS)
    ]
    number = part_number(board.number("id"))
    status = board.object("status")
    rate, nominal, mhz = (board.number(key) for key in ("hr_realtime", "hr_nominal", "freq"))
    return BoardDetail(
        number,
        _chips(known, scale, odd),
        sensors or _sensors_of_chips(known, odd),
        Board(
            number,
            state=status.choice("state", catalogue.BOARD_STATES),
            failure=status.text("failure_message"),
            hashrate=None if rate is None else rate * scale,
            hashrate_nominal=None if nominal is None else nominal * scale,
            frequency=None if mhz is None else mhz * 1e6,
        ),
    )


def _sensors_of_chips(chips: list[dict[str, Any]], odd: Counter[str]) -> list[Sensor]:
    """The sensors that ``/chips`` has in the chips they sit at."""
    found = [chip for chip in chips if chip.get("sensor") is not None][:MAX_SENSORS]
    sensors = []
    for chip in found:
        sensor = Fields(chip["sensor"], "chips[].sensor", odd)
        if sensor:
            sensors.append(
                _sensor(
                    sensor.choice("status", _SENSOR_STATES),
                    _finite(chip.get("id"), Counter()),
                    sensor.number("pcb_temp"),
                    sensor.number("chip_temp"),
                )
            )
    return sensors


def _chips(chips: list[dict[str, Any]], scale: float, odd: Counter[str]) -> Chips | None:
    if not chips:
        return None
    keys = _NEWER if "hr" in chips[0] else _OLDER
    ids, rates, celsius, mhz, errors, grades, millivolts, throttled = (
        [chip.get(key) for chip in chips] for key in keys
    )
    return Chips(
        numbers=labels(tuple(column(ids, 1.0, odd))),
        hashrate=column(rates, scale, odd),
        # 0 is a chip without a reading.
        temperature=[value or None for value in column(celsius, 1.0, odd)],
        frequency=column(mhz, 1e6, odd),
        voltage=column(millivolts, 1e-3, odd),
        hardware_errors=column(errors, 1.0, odd),
        throttled=[float(one) if isinstance(one, bool) else None for one in throttled],
        grade=tuple(_grade(one, odd) for one in grades),
    )


def column(values: Sequence[Any], factor: float, odd: Counter[str]) -> list[float | None]:
    """One figure of all chips, times *factor*; what is no finite number is absent, and counted."""
    return [None if (number := _finite(value, odd)) is None else number * factor for value in values]


def _finite(value: Any, odd: Counter[str]) -> float | None:
    """A number; anything else is absent, and counted unless it was null."""
    kind = type(value)
    if kind is float and -math.inf < value < math.inf:
        return value  # type: ignore[no-any-return]
    if kind is int and -(2**63) <= value < 2**64:
        return float(value)
    if value is not None:
        odd["chips[]"] += 1
    return None


def _grade(grade: Any, odd: Counter[str]) -> str | None:
    if grade is None or (isinstance(grade, str) and grade in catalogue.CHIP_GRADES):
        return grade
    odd["chips[].grade"] += 1
    return units.clean(grade, 32) if isinstance(grade, str) else None
