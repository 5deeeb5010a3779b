from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter import catalogue as c
from exporter.catalogue import CATALOGUE, Kind, Metric
from exporter.exposition import Format, Page, negotiate, number, render

Key = tuple[str, frozenset[tuple[str, str]]]
STATE_SETS = [metric for metric in CATALOGUE.values() if metric.states]
WRITABLE = [
    metric for metric in CATALOGUE.values() if metric.kind is not Kind.HISTOGRAM and not metric.states
]
COLUMNS = [c.CHIP_TEMPERATURE, c.CHIP_ERRORS, c.CHIP_GRADE]


def as_sent(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def samples(text: bytes, form: Format) -> dict[Key, float]:
    parse = parse_openmetrics if form is Format.OPENMETRICS else parse_text
    found: dict[Key, float] = {}
    for family in parse(text.decode()):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"series {key} is there twice"
            found[key] = float(sample.value)
    return found


@st.composite
def pages(draw: st.DrawFn) -> Page:
    page = Page()
    for metric in draw(st.lists(st.sampled_from(STATE_SETS), max_size=3, unique=True)):
        state = draw(st.sampled_from(("", "unheard of", *metric.states)))
        page.add_states(metric, state, *(draw(st.text(max_size=8)) for _ in metric.labels[:-1]))
    for metric in draw(st.lists(st.sampled_from(WRITABLE), max_size=8)):
        for _ in range(draw(st.integers(0, 4))):
            # Info samples are 1 and counters are not negative, by the rules of OpenMetrics.
            value = 1.0 if metric.kind is Kind.INFO else draw(st.floats(min_value=0, allow_nan=False))
            if metric.kind is Kind.COUNTER:
                value = min(value, 1e300)
            page.add(metric, value, *(draw(st.text(max_size=12)) for _ in metric.labels))
    for metric in draw(st.lists(st.sampled_from(COLUMNS), max_size=2, unique=True)):
        for first in draw(st.lists(st.text(max_size=5), max_size=2, unique_by=as_sent)):
            values = draw(st.lists(st.floats(0, 1e300) | st.integers(0, 2**53), min_size=1, max_size=4))
            positions = tuple(f"{draw(st.text(max_size=3))}{n}" for n in range(len(values)))
            more = [tuple(draw(st.text(max_size=3)) for _ in values) for _ in metric.labels[2:]]
            page.add_column(metric, values, f"{first}.", positions, *more)
    return page


def expected(page: Page, extra: dict[str, str]) -> dict[Key, float]:
    return {
        (
            metric.name,
            frozenset({**extra, **dict(zip(metric.labels, map(as_sent, labels), strict=True))}.items()),
        ): value
        for metric, family in page.families()
        for labels, value in family.items()
    }


@pytest.mark.parametrize("form", list(Format))
@given(page=pages(), site=st.text(max_size=8))
def test_what_is_written_reads_back_through_the_reference_parser(form: Format, page: Page, site: str) -> None:
    extra = {"instance": "a", "site": site.encode("utf-8", "replace").decode()}
    assert samples(render([(extra, page)], form), form) == expected(page, extra)


@pytest.mark.parametrize("form", list(Format))
def test_a_family_of_several_pages_is_written_once(form: Format) -> None:
    one, two = Page(), Page()
    for page in (one, two):
        page.add(c.UP, 1.0)
        page.add(c.POOL_ACCEPTED, 5.0, "0", "UserPool")
    text = render([({"instance": "a"}, one), ({"instance": "b"}, two)], form).decode()
    assert text.count("# TYPE vnish_up gauge") == 1
    assert text.count("# TYPE vnish_pool_shares_accepted") == 1
    assert len(samples(text.encode(), form)) == 4


def test_openmetrics_has_types_units_and_an_end() -> None:
    page = Page()
    page.add(c.HASHRATE, 17e9)
    page.add(c.POOL_ACCEPTED, 5.0, "0", "UserPool")
    page.add(c.PRESET_INFO, 1.0, "3360", "tuned")
    text = render([({}, page)], Format.OPENMETRICS).decode()
    assert "# UNIT vnish_hashrate_hashes_per_second hashes_per_second\n" in text
    assert "# TYPE vnish_pool_shares_accepted counter\n" in text
    assert "# TYPE vnish_preset info\n" in text
    assert text.endswith("# EOF\n")


def test_text_has_no_unit_and_no_end() -> None:
    page = Page()
    page.add(c.PRESET_INFO, 1.0, "3360", "tuned")
    text = render([({}, page)], Format.TEXT).decode()
    assert text.splitlines()[1:] == [
        "# TYPE vnish_preset_info gauge",
        'vnish_preset_info{preset="3360",status="tuned"} 1.0',
    ]


def test_an_empty_page_is_empty() -> None:
    assert render([], Format.TEXT) == b""
    assert render([], Format.OPENMETRICS) == b"# EOF\n"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0"),
        (17e9, "17000000000.0"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
        (1e-14, "1e-14"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


@given(st.floats())
def test_numbers_read_back(value: float) -> None:
    read = float(number(value))
    assert read == value or (math.isnan(read) and math.isnan(value))


def test_a_series_given_twice_keeps_its_first_value() -> None:
    page = Page()
    page.add(c.BOARD_HASHRATE, 1.0, "1")
    page.add(c.BOARD_HASHRATE, 2.0, "1")
    assert page.value(c.BOARD_HASHRATE, "1") == 1.0
    assert len(page) == 1


def test_an_absent_value_is_no_series() -> None:
    page = Page()
    page.add(c.HASHRATE, None)
    page.add_states(c.STATE, None)
    assert len(page) == 0


def test_an_unknown_state_is_exported_as_itself_beside_the_known_ones() -> None:
    page = Page()
    page.add_states(c.STATE, "defrosting")
    assert page.value(c.STATE, "defrosting") == 1.0
    assert page.value(c.STATE, "mining") == 0.0
    assert len(page) == len(c.MINER_STATES) + 1


def test_update_adds_the_families_that_are_not_there() -> None:
    source, page = Page(), Page()
    source.add(c.HASHRATE, 1.0)
    source.add(c.POWER, 2.0)
    source.add_states(c.STATE, "mining")
    page.add(c.POWER, 3.0)
    page.update(source)
    assert (page.value(c.HASHRATE), page.value(c.POWER)) == (1.0, 3.0)
    assert page.value(c.STATE, "mining") == 1.0
    assert source.value(c.POWER) == 2.0


def test_an_empty_state_is_none_of_them() -> None:
    page = Page()
    page.add_states(c.SCRAPE_FAILURE, "")
    assert len(page) == len(c.FAILURE_REASONS)
    assert {page.value(c.SCRAPE_FAILURE, reason) for reason in c.FAILURE_REASONS} == {0.0}


def test_labels_a_device_makes_up_do_not_fill_the_memory() -> None:
    from exporter import exposition

    for index in range(10_000):
        page = Page()
        page.add(c.POOL_ACTIVE, 1.0, str(index), "x")
        page.add_states(c.STATE, f"state {index}")
        render([({}, page)], Format.TEXT)
    assert len(exposition._cached_starts[c.POOL_ACTIVE, ""]) <= exposition._MOST_CACHED + 1
    assert exposition._state_lines.cache_info().currsize <= 20_000


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Format.TEXT),
        ("*/*", Format.TEXT),
        ("text/plain;version=0.0.4", Format.TEXT),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.4",
            Format.OPENMETRICS,
        ),
        (
            "application/openmetrics-text; version=1.0.0,application/openmetrics-text; version=0.0.1;q=0.75",
            Format.OPENMETRICS,
        ),
        ("application/openmetrics-text;q=0,text/plain", Format.TEXT),
        ("text/html,application/xhtml+xml", Format.TEXT),
    ],
)
def test_negotiation(accept: str, form: Format) -> None:
    assert negotiate(accept) is form


@pytest.mark.parametrize("metric", WRITABLE, ids=lambda metric: metric.name)
def test_every_metric_of_the_catalogue_is_valid_in_both_formats(metric: Metric) -> None:
    page = Page()
    page.add(metric, 1.0, *("x" for _ in metric.labels))
    for form in Format:
        assert len(samples(render([({}, page)], form), form)) == 1
