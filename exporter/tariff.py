"""The price of electricity by the time of day: a week's prices, minute by minute, on the owner's clock."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_MINUTES = 24 * 60
_WEEK_MINUTES = 7 * _DAY_MINUTES
_HOURS = re.compile(r"(\d{1,2})(?::(\d{2}))?\s*-\s*(\d{1,2})(?::(\d{2}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Period:
    """A part of each of *days*: from minute *start* of the day up to *end*, past midnight if that is later.

    A period that runs past midnight belongs to the day it begins on.
    """

    start: int
    end: int
    usd_per_kwh: float
    days: tuple[Day, ...] = DAYS

    def minutes(self) -> set[int]:
        """Its minutes of the week, which begins on Monday."""
        length = self.end - self.start if self.end > self.start else self.end + _DAY_MINUTES - self.start
        return {
            (DAYS.index(day) * _DAY_MINUTES + self.start + minute) % _WEEK_MINUTES
            for day in self.days
            for minute in range(length)
        }


class Tariff:
    """The prices of a week; of periods that overlap the first counts, *flat* is the price of the rest.

    Without *zone* the clock is the machine's. Clock changes need no care: an instant has one local time.
    """

    def __init__(self, periods: Sequence[Period], flat: float | None, zone: ZoneInfo | None = None) -> None:
        self._zone = zone
        self._prices: list[float | None] = [flat] * _WEEK_MINUTES
        for period in reversed(periods):
            for minute in period.minutes():
                self._prices[minute] = period.usd_per_kwh

    def usd_per_kwh(self, now: float) -> float | None:
        """The price at *now* in Unix seconds; ``None`` if there is none."""
        local = datetime.fromtimestamp(now, self._zone)
        return self._prices[(local.weekday() * 24 + local.hour) * 60 + local.minute]

    def mean_usd_per_kwh(self, now: float) -> float | None:
        """The mean price of the 24 hours from *now*: what somebody pays who draws the same all day."""
        if self._prices.count(self._prices[0]) == _WEEK_MINUTES:
            return self._prices[0]
        prices = [self.usd_per_kwh(now + 60 * minute) for minute in range(_DAY_MINUTES)]
        known = [price for price in prices if price is not None]
        return sum(known) / len(known) if len(known) == _DAY_MINUTES else None

    def first_gap(self) -> str | None:
        """The first minute of the week without a price, such as ``mon 06:00``."""
        if None not in self._prices:
            return None
        minute = self._prices.index(None)
        return f"{DAYS[minute // _DAY_MINUTES]} {minute % _DAY_MINUTES // 60:02}:{minute % 60:02}"


def parse_hours(text: str) -> tuple[int, int]:
    """``"22-06"`` or ``"22:30-6:00"`` to minutes of the day, the end not included.

    Raises:
        ValueError: it is no such text, a time there is not, or twice the same.
    """
    match = _HOURS.fullmatch(text.strip()[:32])
    if not match:
        raise ValueError('expected hours such as "22-06" or "22:30-06:00"')
    start_hour, start_minute, end_hour, end_minute = (int(part or 0) for part in match.groups())
    start, end = start_hour * 60 + start_minute, end_hour * 60 + end_minute
    if start >= _DAY_MINUTES or end > _DAY_MINUTES or max(start_minute, end_minute) > 59:
        raise ValueError("expected times of the day from 00:00 to 24:00")
    if start == end:
        raise ValueError('expected two different times; the whole day is "0-24"')
    return start, end
