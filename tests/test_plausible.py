"""What cannot be true is dropped and counted."""

from __future__ import annotations

import math

import pytest

from exporter import catalogue as c
from exporter.exposition import Page
from exporter.plausible import Guard


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (c.CHIP_TEMPERATURE_MAX.low, True),
        (c.CHIP_TEMPERATURE_MAX.high, True),
        (math.nextafter(c.CHIP_TEMPERATURE_MAX.low, -math.inf), False),
        (math.nextafter(c.CHIP_TEMPERATURE_MAX.high, math.inf), False),
        (math.nan, False),
        (True, True),
    ],
)
def test_bounds_belong_to_what_may_be(value: float, *, kept: bool) -> None:
    guard = Guard(Page())
    guard.add(c.CHIP_TEMPERATURE_MAX, value)
    assert guard.page.value(c.CHIP_TEMPERATURE_MAX) == (value if kept else None)
    assert guard.dropped == ({} if kept else {"vnish_chip_temperature_max_celsius": 1})


@pytest.mark.parametrize("value", [math.inf, -math.inf])
def test_no_metric_is_without_end(value: float) -> None:
    boundless = next(m for m in c.CATALOGUE.values() if m.high == math.inf and not m.labels)
    low = next((m for m in c.CATALOGUE.values() if m.low == -math.inf and not m.labels), boundless)
    metric = boundless if value > 0 else low
    guard = Guard(Page())
    guard.add(metric, value)
    assert guard.page.value(metric) is None
    assert guard.dropped == {metric.name: 1}


def test_what_nobody_knows_is_neither_written_nor_counted() -> None:
    guard = Guard(Page())
    guard.add(c.POWER, None)
    assert len(guard.page) == 0
    assert not guard.dropped


def test_labels_are_written_and_drops_add_up() -> None:
    guard = Guard(Page())
    guard.add(c.FAN_SPEED, 4200.0, "1")
    assert guard.page.value(c.FAN_SPEED, "1") == 4200.0
    for _ in range(3):
        guard.drop(c.FAN_SPEED)
    guard.add(c.FAN_SPEED, -1.0, "2")
    assert guard.dropped == {c.FAN_SPEED.name: 4}
