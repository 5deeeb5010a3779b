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
from exporter.vnish.reading import BoardDetail, Chips, Sensor

# More than any board and any miner has, and few enough to bound a page.
MAX_CHIPS = 512
MAX_CHIPS_OF_MINER = 2048
MAX_SENSORS = 64
_NEWER = ("id", "hr", "temp", "freq", "errs", "grade", "volt", "throttled")
# The names in /chips, whose chips have neither voltage nor throttling.
_OLDER = ("id", "hashrate", "temp", "freq", "errors", "status", "volt", "throttled")
_FLAGS = (0.0, 1.0)


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
    state: str | None = None
    loc: float | None = None
    board: float | None = None
    chip: float | None = None


class _Board(Struct):
    id: float | None = None
    chips: Annotated[list[_Chip], Meta(max_length=MAX_CHIPS)] | None = None
    sensors: Annotated[list[_Sensor], Meta(max_length=MAX_SENSORS)] | None = None


_decoder = Decoder(Annotated[list[_Board], Meta(max_length=MAX_ITEMS)])


def decode(body: bytes) -> Any:
    """An answer of ``/chains`` or ``/boards``, for :func:`details`.

    Raises:
        ProbeError: as :func:`exporter.fields.decode`.
    """
    try:
        return _decoder.decode(body)
    except (ValueError, RecursionError):
        return fields.decode(body)


def details(answer: Any, path: str, scale: float, odd: Counter[str]) -> list[BoardDetail]:
    """The boards of an answer; *scale* is the hashes per second in one unit of its hashrates."""
    if isinstance(answer, list) and answer and isinstance(answer[0], _Board):
        found = [_checked(board, scale) for board in answer]
    else:
        boards = answer.get("chains") if path == "chips" and isinstance(answer, dict) else answer
        found = [_board(board, scale, odd) for board in fields.items(boards, path, odd)]
    count = 0
    for board in found:
        count += len(board.chips.numbers) if board.chips else 0
        if count > MAX_CHIPS_OF_MINER:
            board.chips = None
            odd[f"{path}[].chips"] += 1
    return found


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
            numbers=_numbers(ids),
            hashrate=[rate * scale for rate in rates],
            temperature=[value or None for value in celsius] if 0.0 in celsius else celsius,
            frequency=[value * 1e6 for value in mhz],
            voltage=[value * 1e-3 for value in millivolts],
            hardware_errors=errors,
            throttled=list(map(_FLAGS.__getitem__, throttled)),
            grade=grades,
        )
    return BoardDetail(
        part_number(board.id),
        chips,
        [
            Sensor(part_number(sensor.loc), sensor.board or None, sensor.chip or None)
            for sensor in board.sensors or ()
            if sensor.state == "measure"
        ],
    )


@lru_cache(maxsize=64)
def _numbers(ids: tuple[float | None, ...]) -> tuple[str, ...]:
    """Chip numbers as labels, the same object for all boards of one model."""
    return tuple(map(part_number, ids))


def _board(board: Fields, scale: float, odd: Counter[str]) -> BoardDetail:
    chips = board.raw("chips")
    if chips is not None and not isinstance(chips, list):
        board.odd("chips")
        chips = None
    return BoardDetail(
        part_number(board.number("id")),
        _chips([chip for chip in (chips or ())[:MAX_CHIPS] if isinstance(chip, dict)], scale, odd),
        [
            Sensor(
                part_number(sensor.number("loc")),
                sensor.number("board") or None,
                sensor.number("chip") or None,
            )
            for sensor in board.objects("sensors", MAX_SENSORS)
            # The others have not measured yet, or are broken; their figures are no readings.
            if sensor.text("state") == "measure"
        ],
    )


def _chips(chips: list[dict[str, Any]], scale: float, odd: Counter[str]) -> Chips | None:
    if not chips:
        return None
    keys = _NEWER if "hr" in chips[0] else _OLDER
    ids, rates, celsius, mhz, errors, grades, millivolts, throttled = (
        [chip.get(key) for chip in chips] for key in keys
    )
    return Chips(
        numbers=_numbers(tuple(_scaled(ids, 1.0, odd))),
        hashrate=_scaled(rates, scale, odd),
        # 0 is a chip without a reading.
        temperature=[value or None for value in _scaled(celsius, 1.0, odd)],
        frequency=_scaled(mhz, 1e6, odd),
        voltage=_scaled(millivolts, 1e-3, odd),
        hardware_errors=_scaled(errors, 1.0, odd),
        throttled=[float(one) if isinstance(one, bool) else None for one in throttled],
        grade=tuple(_grade(one, odd) for one in grades),
    )


def _scaled(values: Sequence[Any], factor: float, odd: Counter[str]) -> list[float | None]:
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
