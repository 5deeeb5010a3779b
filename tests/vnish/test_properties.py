"""Whatever a device answers, a probe does not raise, its page parses, and no series is there twice.

Drawn from the types of the firmware's documents: answers that conform, and answers that do not.
"""

from __future__ import annotations

import copy
import json
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.breaker import Breaker
from exporter.errors import ProbeError
from exporter.exposition import Format, Page, render
from exporter.fields import decode
from exporter.http import Step
from exporter.probe import Reader
from exporter.simulator import api_v1, cgi, simple
from exporter.simulator.hardware import HARDWARE
from exporter.simulator.miner import SimMiner
from exporter.vnish.access import Access
from exporter.vnish.metrics import KIND
from exporter.vnish.source import VnishSource
from tests.conftest import FakeClock
from tests.firmware import Array, Bool, Enum, Float, Int, Nullable, OneOf, Optional, Str, documents

WILD = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**400), 10**400)
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["", "NaN", "\ud800", "a\nb", 'x"y', "\\", "\x00", "🙂" * 500, "-1", "1e999"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def conforming(kind: Any) -> st.SearchStrategy[Any]:
    """Any answer the document allows."""
    match kind:
        case Int(low, high):
            return st.integers(low, high)
        case Float():
            return st.floats(allow_nan=False, allow_infinity=False, width=32)
        case Str():
            return st.text(max_size=30) | st.sampled_from(["0:06", "131K", "1 day,  3:58", "*****", "MH/s"])
        case Bool():
            return st.booleans()
        case Enum(values):
            return st.sampled_from(values)
        case Nullable(inner):
            return st.none() | conforming(inner)
        case Array(inner):
            return st.lists(conforming(inner), max_size=3)
        case OneOf(choices):
            return st.one_of(*map(conforming, choices))
        case dict():
            needed = {
                key: conforming(inner) for key, inner in kind.items() if not isinstance(inner, Optional)
            }
            extra = {
                key: conforming(inner.kind) for key, inner in kind.items() if isinstance(inner, Optional)
            }
            return st.fixed_dictionaries(needed, optional=extra)
    raise AssertionError(kind)


class Device:
    """Stands for the client: answers each path with bytes, and anything unknown with the web page."""

    def __init__(self, answers: dict[str, bytes]) -> None:
        self.answers = answers
        self.steps: list[Step] = []
        self.digest_wanted = False

    async def get_json(
        self,
        path: str,
        headers: Any = None,
        decoder: Callable[[bytes], Any] = decode,
        max_bytes: int = 0,
    ) -> Any:
        return decoder(self.answers.get(path, b"<html></html>"))

    async def request(self, method: str, path: str, **_: Any) -> Any:
        raise AssertionError("only the CGI and logins go this way")


async def probe(answers: dict[str, bytes], times: int = 2) -> Page:
    clock = FakeClock()
    source = VnishSource(clock, access=Access(clock))
    reader = Reader(
        "m",
        KIND,
        breaker=Breaker(3, 30.0, clock),
        open_client=lambda _: Device(answers),  # type: ignore[arg-type,return-value]
        read=source.read,
        clock=clock,
        reuse_seconds=0,
        reuse_failure_seconds=0,
    )
    for _ in range(times):
        look = await reader.look(clock() + 10)
        if look.error:
            assert "defect" not in look.error.detail
            assert "could not be read" not in look.error.detail, look.error.detail
        page = reader.page(look)
    check(page)
    return page


def check(page: Page) -> None:
    for form, parse in ((Format.TEXT, parse_text), (Format.OPENMETRICS, parse_openmetrics)):
        seen = set()
        for family in parse(render([({"instance": "m"}, page)], form).decode()):
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in seen
                seen.add(key)
                assert sample.value == sample.value, "no NaN"


def encoded(answers: dict[str, Any]) -> dict[str, bytes]:
    return {f"/api/v1/{name}": json.dumps(answer).encode() for name, answer in answers.items()}


@pytest.mark.parametrize("version", api_v1.VERSIONS)
@given(data=st.data())
@settings(max_examples=60)
async def test_any_conforming_answers(version: str, data: st.DataObject) -> None:
    answers = {name: data.draw(conforming(kind)) for name, kind in documents(version).items()}
    await probe(encoded(answers))


def real(version: str = "1.2.7") -> dict[str, Any]:
    miner = SimMiner("m", HARDWARE["l9"], 7, "account.m")
    return {
        "info": api_v1.info(miner, version, "127.0.0.1"),
        "model": api_v1.model(miner, version),
        "status": api_v1.status(miner, version, unlocked=False),
        "summary": api_v1.summary(miner, version, unlocked=False),
        "chains": [{**chain, "chips": chain["chips"][:3]} for chain in api_v1.chains(miner)],
        "chains/factory-info": api_v1.factory_info(miner),
        "perf-summary": api_v1.perf_summary(miner, version),
    }


REAL = real()


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in an answer."""
    found = [path] if path else []
    if isinstance(value, dict):
        for key, item in value.items():
            found += places(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value[:4]):
            found += places(item, (*path, index))
    return found


PLACES = places(REAL)


def changed(answers: Any, place: tuple[Any, ...], value: Any, *, remove: bool = False) -> None:
    parent = answers
    try:
        for key in place[:-1]:
            parent = parent[key]
        if remove:
            del parent[place[-1]]
        else:
            parent[place[-1]] = value
    except (KeyError, IndexError, TypeError):
        return


@given(
    mutations=st.lists(
        st.tuples(st.sampled_from(PLACES), WILD, st.booleans(), st.booleans()), min_size=1, max_size=6
    )
)
@settings(max_examples=250)
async def test_any_mutation_of_a_real_miners_answers(mutations: list[Any]) -> None:
    answers = copy.deepcopy(REAL)
    for place, value, remove, twice in mutations:
        try:
            changed(answers, place, value, remove=remove)
            if twice:
                parent = answers
                for key in place[:-1]:
                    parent = parent[key]
                if isinstance(parent, list):
                    parent.append(copy.deepcopy(parent[0]))
        except (KeyError, IndexError, TypeError):
            continue
    await probe(encoded(answers))


@given(
    st.dictionaries(
        st.sampled_from([f"/api/v1/{name}" for name in REAL] + ["/summary", "/chains"]),
        st.binary(max_size=300),
    )
)
@settings(max_examples=100)
async def test_any_bytes(answers: dict[str, bytes]) -> None:
    await probe(answers)


L7 = SimMiner("m", HARDWARE["l7"], 7, "account.m")
SIMPLE_SHAPES = {
    "summary": {
        "summary": {**simple.summary(L7), "chains": simple.chains(L7)},
        "chains": [
            {**chain, "chips": chips}
            for chain, chips in zip(
                simple.chains(L7), ([], simple.chips(L7)[:3], simple.chips(L7)[:2]), strict=True
            )
        ],
        "chips": simple.chips(L7)[:3],
    },
    "chips": simple.chips(L7)[:3],
    "chains": {"chains": simple.chains(L7)},
    "status": simple.status(L7),
}
SIMPLE_PLACES = places(SIMPLE_SHAPES)


@given(
    mutations=st.lists(st.tuples(st.sampled_from(SIMPLE_PLACES), WILD, st.booleans()), min_size=1, max_size=6)
)
@settings(max_examples=250)
async def test_any_mutation_of_the_simple_shape(mutations: list[Any]) -> None:
    answers = copy.deepcopy(SIMPLE_SHAPES)
    for place, value, remove in mutations:
        changed(answers, place, value, remove=remove)
    await probe({f"/{name}": json.dumps(answer).encode() for name, answer in answers.items()})


OLD = {**{name: REAL[name] for name in ("info", "summary", "status")}, "chips": api_v1.chips(L7)}
for _chain in OLD["chips"]["chains"]:
    del _chain["chips"][4:]
OLD_PLACES = places(OLD["chips"], ("chips",))


@given(
    mutations=st.lists(st.tuples(st.sampled_from(OLD_PLACES), WILD, st.booleans()), min_size=1, max_size=6)
)
@settings(max_examples=100)
async def test_any_mutation_of_the_deprecated_chips(mutations: list[Any]) -> None:
    answers = copy.deepcopy(OLD)
    for place, value, remove in mutations:
        changed(answers, place, value, remove=remove)
    await probe(encoded(answers))


@pytest.mark.parametrize(
    "body",
    [
        b'{"miner":' * 50_000,
        b'{"miner": {"hr_realtime": 1' + b"0" * 5000 + b"}}",
        b'{"miner": {"hr_realtime": 1, "hr_realtime": 2}}',
        b'{"miner": {"hr_realtime": NaN, "power_consumption": Infinity}}',
        b'{"miner": {"miner_type": "\xff\xfe"}}',
        b'{"miner": {"pools": [' + b",".join([b'{"id":1,"url":"x"}'] * 10_000) + b"]}}",
        b'{"miner": {"chains": [' + b",".join([b'{"id":1}'] * 10_000) + b"]}}",
        b'{"miner": {"pools": [{"id":1,"pool_type":"' + b"x" * 100_000 + b'"}]}}',
    ],
)
async def test_hostile_answers(body: bytes) -> None:
    page = await probe({**encoded(REAL), "/api/v1/summary": body})
    assert len(render([({}, page)], Format.TEXT)) < 500_000


async def test_ten_thousand_chips_are_bounded() -> None:
    chip = REAL["chains"][0]["chips"][0]
    many = [{**REAL["chains"][0], "chips": [{**chip, "id": n} for n in range(10_000)]}]
    page = await probe({**encoded(REAL), "/api/v1/chains": json.dumps(many).encode()}, times=1)
    assert len(page) < 10_000


async def test_the_page_passes_the_naming_lint_of_promtool() -> None:
    page = await probe(encoded(REAL))
    done = subprocess.run(
        ["promtool", "check", "metrics"],
        input=render([({}, page)], Format.TEXT),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@given(
    mutation=WILD,
    key=st.sampled_from(["summary", "pools", "devs"]),
    inner=st.sampled_from(["index", "url", "priority", "status", "fan1", "rate", "rtideal", "totalideal"])
    | st.sampled_from(
        ["chain_acs", "chain_acn", "chain_vol", "chain_consumption", "temp", "ghs5s", "elapsed"]
    )
    | st.text(max_size=5),
    info=st.sampled_from(["minertype", "macaddr", "uptime", "mem_total"]),
)
@settings(max_examples=200)
def test_any_cgi_page(mutation: Any, key: str, inner: str, info: str) -> None:
    import asyncio

    from exporter.vnish.cgi import Cgi

    miner = SimMiner("m", HARDWARE["l3+"], 7, "account.m")
    status = cgi.miner_status(miner)
    status[key] = (
        [{**entry, inner: mutation} for entry in status[key]]
        if isinstance(status[key], list)
        else {**status[key], inner: mutation}
        if inner
        else mutation
    )
    system = cgi.system_info(miner) | {info: mutation}

    class Answer:
        status = 200

        def __init__(self, data: Any) -> None:
            self.body = json.dumps(data).encode()

    class Client(Device):
        async def request(self, method: str, path: str, **_: Any) -> Any:
            self.steps.append(Step(method, path))
            return Answer(system if "info" in path else status)

    async def read() -> None:
        from exporter.vnish.metrics import samples

        try:
            reading = await Cgi(FakeClock()).read(Client({}))  # type: ignore[arg-type]
        except ProbeError:
            return
        page = Page()
        samples(reading, page)
        check(page)

    asyncio.run(read())
