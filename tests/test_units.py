from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import units
from exporter.simulator import api_v1, simple


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("150 TH/s", 150e12),
        ("9.5 GH/s", 9.5e9),
        ("504 MH/s", 504e6),
        ("1.2TH/s", 1.2e12),
        ("3 kH/s", 3e3),
        ("12 h/s", 12.0),
        ("0 TH/s", 0.0),
        ("1 PH/s", 1e15),
        ("63 TH", 63e12),
        ("11500 MH", 11500e6),
    ],
)
def test_a_hashrate_is_read_with_its_unit(text: str, expected: float) -> None:
    assert units.hashrate(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    "text", ["", "150", "TH/s", "-1 TH/s", "1e3 TH/s", "1,5 TH/s", "nan TH/s", "1 W", "١٢ TH/s"]
)
def test_a_hashrate_without_a_unit_or_a_number_is_none(text: str) -> None:
    assert units.hashrate(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0:06", 360),
        (" 1:00", 3600),
        ("27 days, 12:24", 27 * 86400 + 12 * 3600 + 24 * 60),
        ("9 days,  3:58", 9 * 86400 + 3 * 3600 + 58 * 60),
        ("1 day,  3:58", 86400 + 3 * 3600 + 58 * 60),
        ("1 day, 5 min", 86400 + 300),
        ("5 min", 300),
        ("2 days", 2 * 86400),
        ("up 3:04", 3 * 3600 + 4 * 60),
        ("1:02:03", 3723),
    ],
)
def test_every_printed_form_of_uptime(text: str, expected: float) -> None:
    assert units.uptime_seconds(text) == expected


@pytest.mark.parametrize("text", ["", "yesterday", "days", "12", "-1:00", "a:b", "1 day x"])
def test_other_text_is_no_uptime(text: str) -> None:
    assert units.uptime_seconds(text) is None


@pytest.mark.parametrize(
    ("text", "expected"), [("0:00:11", 11), ("1:02:03", 3723), ("2 days 0:00:01", 172_801), ("59:59", 3599)]
)
def test_the_age_of_the_last_share(text: str, expected: float) -> None:
    assert units.clock_seconds(text) == expected


def test_a_share_that_never_came_has_no_age() -> None:
    assert units.clock_seconds("0") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("131K", 131_000), ("65.5K", 65_500), ("2.05K", 2050), ("512", 512), ("1.5M", 1.5e6)],
)
def test_printed_difficulties(text: str, expected: float) -> None:
    assert units.difficulty(text) == expected


def test_an_offline_pool_has_no_difficulty() -> None:
    assert units.difficulty("") is None


@pytest.mark.parametrize(
    ("measure", "model", "algorithm", "expected"),
    [
        ("MH/s", "Antminer S19", "sha256d", 1e6),
        ("GH/s", "Antminer L9", "scrypt", 1e9),
        ("N/A", "Antminer L9", "scrypt", 1e6),
        (None, "Antminer L7", None, 1e6),
        (None, "l9", "unknown", 1e6),
        (None, "Antminer L3+", None, 1e6),
        (None, "Antminer S19j Pro", None, 1e9),
        (None, None, None, 1e9),
        (None, None, "scrypt", 1e6),
        (None, "Antminer L9", "sha256d", 1e9),
        ("kH/s", "Antminer L9", "sha256d", 1e9),
    ],
)
def test_the_unit_of_a_firmwares_hashrates(
    measure: str | None, model: str | None, algorithm: str | None, expected: float
) -> None:
    assert units.hashes_per_measure(measure, model, algorithm) == expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("Antminer L7", "scrypt"),
        ("l11", "scrypt"),
        ("Scrypt Master", "scrypt"),
        ("Antminer S19 XL70", "sha256d"),
        ("L8", "sha256d"),
        ("", "sha256d"),
        (None, "sha256d"),
    ],
)
def test_the_algorithm_a_model_mines(model: str | None, expected: str) -> None:
    assert units.algorithm_of(model) == expected


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (units.hashrate, "1 TH/s", 1e12),
        (units.difficulty, "131K", 131_000),
        (units.uptime_seconds, "5 min", 300),
        (units.clock_seconds, "0:00:11", 11),
    ],
)
def test_a_figure_is_read_whole_or_not_at_all(
    read: Callable[[str], float | None], text: str, expected: float
) -> None:
    assert read(text.rjust(64)) == expected
    assert read(text.rjust(65)) is None


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (1.5e15, "1.5 PH/s"),
        (1e15, "1 PH/s"),
        (999e12, "999 TH/s"),
        (1e12, "1 TH/s"),
        (9.5e9, "9.5 GH/s"),
        (1e9, "1 GH/s"),
        (504.12e6, "504.1 MH/s"),
        (1e6, "1 MH/s"),
        (1e3, "1 kH/s"),
        (12.0, "12 H/s"),
        (0.0, "0 H/s"),
    ],
)
def test_a_hashrate_for_people(rate: float, text: str) -> None:
    assert units.hashrate_text(rate) == text


def test_what_cannot_be_printed_is_left_out_and_the_rest_cut() -> None:
    assert units.clean("a\x00b\nc ") == "abc"
    assert units.clean("x" * 200) == "x" * 128
    assert units.clean("\x00" * 79 + "ab", 20) == "a"
    assert units.clean("\x00" * 80 + "a", 20) == ""


@given(st.floats(0, 1e8))
def test_uptime_as_the_simulator_prints_it_reads_back(seconds: float) -> None:
    assert units.uptime_seconds(api_v1.uptime(seconds)) == seconds // 60 * 60


@given(st.floats(1e6, 1e15))
def test_hashrates_as_the_simulator_prints_them_read_back(rate: float) -> None:
    assert units.hashrate(simple.rate(rate)) == pytest.approx(rate, rel=0.01)


@given(st.text())
def test_no_text_raises(text: str) -> None:
    for read in (units.hashrate, units.uptime_seconds, units.clock_seconds, units.difficulty):
        value = read(text)
        assert value is None or value >= 0


@given(st.text(st.characters(codec=None, categories=None)))
def test_cleaned_text_is_printable_and_short(text: str) -> None:
    cleaned = units.clean(text, 20)
    assert cleaned.isprintable()
    assert len(cleaned) <= 20
    cleaned.encode()


@pytest.mark.parametrize(
    ("joules", "expected"),
    [
        (30e-12, "30 J/TH"),
        (197.4e-9, "197 J/GH"),
        (1.587e-6, "1.59 J/MH"),
        (0.0, "0 J/TH"),
        (999.4e-12, "999 J/TH"),
        (1e-9, "1 J/GH"),
        (1000.4e-12, "1 J/GH"),
    ],
)
def test_efficiency_is_printed_in_the_unit_of_its_kind(joules: float, expected: str) -> None:
    assert units.efficiency_text(joules) == expected


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("GH/s", 1e9),
        ("KH/s", 1e3),
        ("H/s", 1.0),
        ("TH", 1e12),
        ("Sol/s", None),
        ("", None),
        ("GB", None),
        ("1H", None),
    ],
)
def test_the_scale_of_a_unit(unit: str, expected: float | None) -> None:
    assert units.hashrate_scale(unit) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", 30),
        ("1m30s", 90),
        ("1d12h", 129_600),
        ("2w", 1_209_600),
        ("1y", 31_536_000),
        ("500ms", 0.5),
        ("0", 0),
    ],
)
def test_durations_of_prometheus(text: str, expected: float) -> None:
    assert units.duration_seconds(text) == expected


@pytest.mark.parametrize("text", ["", "5", "1.5h", "1h ", "-1m", "h", "5 m", "None"])
def test_other_text_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as 1d12h, found"):
        units.duration_seconds(text)
