"""What electricity costs by the time of day, clock changes included."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import catalogue as c
from exporter.config.load import ConfigError, load
from exporter.fleet import Fleet
from exporter.http import Outgoing
from exporter.tariff import Period, Tariff, parse_hours
from tests.conftest import FakeClock

BERLIN = ZoneInfo("Europe/Berlin")
NIGHT = Tariff([Period(*parse_hours("22-06"), 0.05)], 0.12, BERLIN)


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("22-06", (1320, 360)),
        ("22:30 - 6:05", (1350, 365)),
        ("0-24", (0, 1440)),
        ("06-22", (360, 1320)),
    ],
)
def test_hours(text: str, expected: tuple[int, int]) -> None:
    assert parse_hours(text) == expected


@given(st.text(alphabet="0123456789:- x", max_size=12))
def test_hours_are_times_of_the_day_or_refused(text: str) -> None:
    try:
        start, end = parse_hours(text)
    except ValueError as error:
        assert str(error).startswith("expected")
    else:
        assert 0 <= start < 1440
        assert 0 <= end <= 1440
        assert start != end


@pytest.mark.parametrize(
    ("when", "price"),
    [
        ("2026-11-24T21:59:59", 0.12),
        ("2026-11-24T22:00:00", 0.05),
        ("2026-11-25T05:59:59", 0.05),
        ("2026-11-25T06:00:00", 0.12),
        # A week ends in the night of a Sunday.
        ("2026-11-29T23:59:59", 0.05),
        ("2026-11-30T00:00:00", 0.05),
    ],
)
def test_a_period_runs_past_midnight(when: str, price: float) -> None:
    assert NIGHT.usd_per_kwh(at(when)) == price


def test_it_belongs_to_the_day_it_begins_on_and_the_first_that_fits_counts() -> None:
    tariff = Tariff(
        [
            Period(*parse_hours("22-06"), 0.05, ("fri",)),
            Period(*parse_hours("0-24"), 0.08, ("sat", "sun")),
        ],
        0.12,
        BERLIN,
    )
    assert tariff.usd_per_kwh(at("2026-11-27T05:00:00")) == 0.12, "Friday's morning is Thursday's night"
    assert tariff.usd_per_kwh(at("2026-11-27T23:00:00")) == 0.05
    assert tariff.usd_per_kwh(at("2026-11-28T05:59:00")) == 0.05
    assert tariff.usd_per_kwh(at("2026-11-28T06:00:00")) == 0.08
    assert tariff.usd_per_kwh(at("2026-11-30T00:00:00")) == 0.12


def test_clock_changes() -> None:
    # 2026-03-29: 02:00 becomes 03:00, so the night has seven hours. 2026-10-25: it has nine.
    for evening, hours in (
        ("2026-03-28T22:00:00", 7),
        ("2026-10-24T22:00:00", 9),
        ("2026-11-24T22:00:00", 8),
    ):
        start = at(evening)
        cheap = sum(NIGHT.usd_per_kwh(start + 60 * minute) == 0.05 for minute in range(23 * 60))
        assert cheap == hours * 60
        assert NIGHT.usd_per_kwh(start + hours * 3600 - 1) == 0.05
        assert NIGHT.usd_per_kwh(start + hours * 3600) == 0.12
    early = Tariff([Period(*parse_hours("02-03"), 0.01)], 0.12, BERLIN)
    day = at("2026-03-29T00:00:00")
    assert all(early.usd_per_kwh(day + 60 * minute) == 0.12 for minute in range(23 * 60)), (
        "an hour there is not"
    )
    day = at("2026-10-25T00:00:00")
    assert sum(early.usd_per_kwh(day + 60 * minute) == 0.01 for minute in range(25 * 60)) == 120, (
        "one there is twice"
    )


def test_the_mean_is_that_of_a_day() -> None:
    assert NIGHT.mean_usd_per_kwh(at("2026-11-24T12:00:00")) == pytest.approx((8 * 0.05 + 16 * 0.12) / 24)
    assert Tariff([], 0.12).mean_usd_per_kwh(0.0) == 0.12
    assert Tariff([], None).mean_usd_per_kwh(0.0) is None


def test_without_a_zone_the_clock_is_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    tariff = Tariff([Period(*parse_hours("22-06"), 0.05)], 0.12)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert tariff.usd_per_kwh(at("2026-11-24T22:00:00", ZoneInfo("Asia/Tokyo"))) == 0.05
        assert tariff.usd_per_kwh(at("2026-11-24T22:00:00", ZoneInfo("UTC"))) == 0.12
    finally:
        monkeypatch.undo()
        time.tzset()


TEXT = """\
fleet: {miner_ips: [127.0.0.1:9]}
economics:
  timezone: Europe/Berlin
  electricity_usd_per_kwh: 0.12
  tariff:
    - {hours: 22-06, usd_per_kwh: 0.05}
    - {days: [sat, sun], usd_per_kwh: 0.072}
"""


async def test_a_page_has_the_price_of_its_time(tmp_path: Path, outgoing: Outgoing, clock: FakeClock) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(TEXT)
    now = FakeClock(at("2026-11-24T21:59:59"))
    fleet = Fleet(load(path, {}), outgoing, {}, clock=clock, wall_clock=now)
    [target] = fleet.miners.values()
    for seconds, price in (
        (0, 0.12),
        (1, 0.05),
        (8 * 3600, 0.12),
        (4 * 86_400 - 8 * 3600, 0.05),
        (11 * 3600, 0.072),
    ):
        now.advance(seconds)
        _, page = await target.probe(clock() + 5)
        assert page.value(c.ELECTRICITY_PRICE) == price / 3.6e6


@pytest.mark.parametrize(
    ("edit", "fault"),
    [
        (
            ("22-06", "22-25"),
            ":6: economics.tariff[0].hours: expected times of the day from 00:00 to 24:00, found '22-25'",
        ),
        (("22-06", "night"), ':6: economics.tariff[0].hours: expected hours such as "22-06"'),
        (("22-06", "7-7"), ":6: economics.tariff[0].hours: expected two different times"),
        (("sat, sun", "sat, sum"), ":7: economics.tariff[1].days[1]: expected 'mon', 'tue'"),
        (("[sat, sun]", "[]"), ":7: economics.tariff[1].days: expected days such as [sat, sun], found none"),
        (
            ("usd_per_kwh: 0.05}", "usd_per_kwh: -1}"),
            ":6: economics.tariff[0].usd_per_kwh: expected a number of at least 0",
        ),
        ((", usd_per_kwh: 0.05}", "}"), ":6: economics.tariff[0].usd_per_kwh: expected a value, found none"),
        (
            ("Europe/Berlin", "Europe/Bonn"),
            ":3: economics.timezone: expected a time zone such as Europe/Berlin",
        ),
        (("Europe/Berlin", "../../etc/passwd"), ":3: economics.timezone: expected a time zone"),
        (
            ("  electricity_usd_per_kwh: 0.12\n", ""),
            ":2: economics: expected electricity_usd_per_kwh for the hours outside tariff,"
            " found no price for mon 06:00",
        ),
    ],
)
def test_each_fault_is_a_line(tmp_path: Path, edit: tuple[str, str], fault: str) -> None:
    path = tmp_path / "config.yaml"
    assert edit[0] in TEXT
    path.write_text(TEXT.replace(*edit))
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    [line] = caught.value.faults
    assert fault in line
