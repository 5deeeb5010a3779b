"""The HTTP surface, served from a simulated site."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import html
import json
import re
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from exporter.catalogue import CATALOGUE
from exporter.config.load import load
from exporter.server.web_config import WebConfig, load_web_config
from exporter.simulator.faults import MINER_FAULTS
from exporter.simulator.simulation import MinerSpec, mixed_fleet
from tests.conftest import L7, L9, L9_NEW, ROOT, SIMPLE, Site, serve_site


def series(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    found = {}
    for family in parse_text(text):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found
            found[key] = sample.value
    return found


def value(text: str, name: str, **labels: str) -> float | None:
    return series(text).get((name, frozenset(labels.items())))


async def test_a_probe_of_each_dialect(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9, L9_NEW, L7, SIMPLE]) as site:
        for name, low, high in (
            ("l9", 16e9, 18e9),
            ("l9-new", 16e9, 18e9),
            ("l7", 9e9, 10e9),
            ("simple", 9e9, 10e9),
        ):
            text = await site.get(f"/probe?target={name}")
            assert value(text, "vnish_up") == 1
            rate = value(text, "vnish_hashrate_hashes_per_second")
            assert rate
            assert low < rate < high
            assert value(text, "minefleet_miner_info", worker=name) == 1
            assert not [
                labels for _, labels in series(text) if any(key in ("instance", "site") for key, _ in labels)
            ]


async def test_every_catalogued_series_of_the_real_interface_is_on_some_scrape(tmp_path: Path) -> None:
    """Each name, from one firmware or the other, in one state or another."""
    elsewhere = {
        # Only where the firmware cannot tell, or what these models do not have.
        "vnish_water_temperature_celsius",
        "vnish_board_water_temperature_celsius",
        "minefleet_miner_power_configured_watts",
        # Only with passwords or expected pools in the configuration.
        "vnish_authenticated",
        "vnish_unlock_wait_seconds",
        "minefleet_pool_match",
        # Only of answers that are wrong.
        "vnish_implausible_values_total",
        "vnish_unexpected_values_total",
        "mining_pool_implausible_values_total",
        "mining_pool_unexpected_values_total",
    }
    seen: set[str] = set()
    async with serve_site(tmp_path, [L9, L9_NEW, L7]) as site:
        await site.simulation.inject("l7", "failure")
        site.simulation.miners["l7"].miner.advance(30)
        await site.simulation.inject("l9-new", "board_lost")
        site.simulation.miners["l9-new"].miner.preset = False
        seen |= {name for name, _ in series(await site.get("/fleet"))}
        seen |= {name for name, _ in series(await site.get("/probe?target=l9"))}
        await site.simulation.inject("l9", "wrong_types")
        await site.simulation.inject("l9-new", "hashrate_drop", {"percent": -400})
        site.simulation.miners["l9-new"].miner.advance(30)
        seen |= {name for name, _ in series(await site.get("/fleet"))}
        assert {"vnish_implausible_values_total", "vnish_unexpected_values_total"} <= seen
        await site.simulation.inject("l7", "html")
        await site.get("/probe?target=l7")
        seen |= {name for name, _ in series(await site.get("/metrics"))}
    histogram = {"minefleet_probe_duration_seconds"}
    # What living pools tell beyond a price is each driver's own test.
    elsewhere |= {name for name in CATALOGUE if name.startswith("mining_")}
    elsewhere |= {"minefleet_miner_account_info", "minefleet_pool_account_info"}
    assert set(CATALOGUE) - histogram - seen <= elsewhere
    known = set(CATALOGUE) | {f"{name}_{part}" for name in histogram for part in ("bucket", "sum", "count")}
    ours = {name for name in seen if name.startswith(("vnish_", "mining_pool_", "minefleet_"))}
    assert ours - known == set(), "nothing is exported that is not catalogued"


@pytest.mark.parametrize("fault", MINER_FAULTS)
async def test_no_fault_raises_out_of_a_probe_or_touches_the_others(tmp_path: Path, fault: str) -> None:
    async with serve_site(tmp_path, [L9, L9_NEW], timeout_seconds=0.5) as site:
        await site.simulation.inject("l9", fault, {"seconds": 0.01} if fault == "slow" else None)
        for host in site.simulation.miners.values():
            host.miner.advance(5)
        broken = await site.get("/probe?target=l9")
        healthy = await site.get("/probe?target=l9-new")
        assert value(broken, "vnish_up") in (0, 1)
        if value(broken, "vnish_up") == 0:
            assert value(broken, "vnish_hashrate_hashes_per_second") is None, "no frozen or fake value"
            reasons = [v for (name, _), v in series(broken).items() if name == "vnish_scrape_failure"]
            assert sum(reasons) == 1
        assert value(healthy, "vnish_up") == 1
        assert value(healthy, "vnish_hashrate_hashes_per_second")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("unplugged", "connection"),
        ("hanging", "timeout"),
        ("http_500", "http_status"),
        ("html", "not_json"),
        ("truncated_json", "not_json"),
    ],
)
async def test_each_failure_has_its_reason(tmp_path: Path, fault: str, reason: str) -> None:
    async with serve_site(tmp_path, [L9], timeout_seconds=0.5) as site:
        await site.simulation.inject("l9", fault)
        text = await site.get("/probe?target=l9")
        assert value(text, "vnish_scrape_failure", reason=reason) == 1
        assert value(text, "vnish_up") == 0


async def test_an_open_breaker_asks_nothing_of_the_network(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9]) as site:
        host = site.simulation.miners["l9"]
        await site.simulation.inject("l9", "http_500")
        for _ in range(3):
            await site.get("/probe?target=l9")
        asked = len(host.requests)
        text = await site.get("/probe?target=l9")
        assert len(host.requests) == asked
        assert value(text, "vnish_breaker_state", state="open") == 1
        assert value(text, "vnish_scrape_failure", reason="circuit_open") == 1


async def test_a_hanging_miner_among_sixty_never_delays_another(tmp_path: Path) -> None:
    """Shown by order: everyone else's answer is there before the hanging one's deadline has come."""
    fleet = mixed_fleet(60)
    async with serve_site(tmp_path, fleet, timeout_seconds=20) as site:
        hanging = fleet[7].name
        await site.simulation.inject(hanging, "hanging")
        order: list[str] = []

        async def probe(name: str) -> str:
            text = await site.get(f"/probe?target={name}")
            order.append(name)
            return text

        stuck = asyncio.create_task(probe(hanging))
        answers = await asyncio.gather(*(probe(spec.name) for spec in fleet if spec.name != hanging))
        assert len(order) == 59
        assert all(value(text, "vnish_up") == 1 for text in answers)
        assert not stuck.done()
        stuck.cancel()


async def test_the_fleet_page_reports_a_slow_miner_down_and_the_others_up(tmp_path: Path) -> None:
    async with serve_site(tmp_path, mixed_fleet(12)) as site:
        await site.simulation.inject("barn1-l9-02", "hanging")
        text = await site.get("/fleet", **{"X-Prometheus-Scrape-Timeout-Seconds": "1"})
        up = {dict(labels)["instance"]: v for (name, labels), v in series(text).items() if name == "vnish_up"}
        assert up.pop("barn1-l9-02") == 0
        assert set(up.values()) == {1}
        assert len(up) == 11
        labels = next(
            dict(labels) for name, labels in series(text) if name == "vnish_hashrate_hashes_per_second"
        )
        assert labels == {"instance": "barn1-l9-01", "site": "barn1", "rack": "1"}
        assert value(text, "mining_pool_up", instance="prohashing") == 1
        assert "vnish_chip_hashrate" not in text
        assert "vnish_chip_hashrate" in await site.get("/probe?target=barn1-l9-01")


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ("", 400, "the parameter target is needed"),
        ("?target=", 400, "the parameter target is needed"),
        ("?target=a&target=b", 400, "each parameter may be given once"),
        ("?target=l9&modul=vnish", 400, "unknown parameter"),
        ("?target=nobody", 400, "not a configured name and not an address"),
        ("?target=http://user:pw@127.0.0.1/", 400, "not a configured name"),
        ("?target=127.0.0.1/admin", 400, "has no path"),
        ("?target=l9&module=prohashing", 400, "no account of that name"),
        ("?target=203.0.113.7", 403, "outside fleet.allowed_networks"),
        ("?target=169.254.169.254", 403, "outside fleet.allowed_networks"),
        ("?target=[::ffff:203.0.113.7]", 403, "outside fleet.allowed_networks"),
        ("?target=127.0.0.1", 403, "outside fleet.allowed_networks"),
    ],
)
async def test_what_may_not_be_probed(tmp_path: Path, query: str, status: int, text: str) -> None:
    async with serve_site(tmp_path, [L9], allowed_networks=["127.88.0.0/16"]) as site:
        answer = await site.get(f"/probe{query}", status)
        assert text in answer
        assert not site.simulation.miners["l9"].requests


async def test_an_address_inside_the_networks_may_be_probed_without_being_configured(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9], allowed_networks=["127.77.0.0/24"], edit=another_miner) as site:
        host = site.simulation.miners["l9"]
        text = await site.get(f"/probe?target={host.address}:{host.port}")
        assert value(text, "vnish_up") == 1
        assert value(text, "minefleet_miner_configured") == 0


def another_miner(config: dict[str, Any]) -> None:
    """In place of the simulated one, which is unconfigured then, at the same port."""
    [miner] = config["fleet"]["miners"]
    port = miner["address"].rpartition(":")[2]
    config["fleet"]["miners"] = [{"address": f"127.77.0.200:{port}", "name": "another"}]


async def test_an_address_is_one_target_however_it_is_written(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9], allowed_networks=["127.77.0.0/24"], edit=another_miner) as site:
        host = site.simulation.miners["l9"]
        fleet = site.runtime.fleet
        plain = fleet.find(f"{host.address}:{host.port}")
        for text in (
            f"[::ffff:{host.address}]:{host.port}",
            f"http://[0:0:0:0:0:FFFF:{host.address}]:{host.port}",
        ):
            assert fleet.find(text) is plain
        another = fleet.find("another")
        assert fleet.find(f"[::ffff:127.77.0.200]:{host.port}") is another


async def test_an_unconfigured_target_is_asked_at_ports_of_miners_only(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9], allowed_networks=["127.77.0.0/24"]) as site:
        host = site.simulation.miners["l9"]
        for port in (22, 8080, host.port + 1):
            text = await site.get(f"/probe?target=127.77.0.99:{port}", 403)
            assert "80, 443 and those of configured miners" in text
        for text in ("127.77.0.99", "https://127.77.0.99", f"127.77.0.99:{host.port}"):
            assert site.runtime.fleet.find(text).module == "vnish"


async def test_a_configured_miner_may_be_named_by_its_address(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9]) as site:
        host = site.simulation.miners["l9"]
        text = await site.get(f"/probe?target={host.address}:{host.port}")
        assert value(text, "minefleet_miner_configured") == 1


@pytest.mark.parametrize("header", ["soon", "0", "-3", "nan", "inf"])
async def test_a_scrape_timeout_that_is_none_is_refused(tmp_path: Path, header: str) -> None:
    async with serve_site(tmp_path, [L9]) as site:
        await site.get("/probe?target=l9", 400, **{"X-Prometheus-Scrape-Timeout-Seconds": header})


async def test_discovery_needs_no_relabelling(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9], poll_interval_seconds=20, timeout_seconds=4) as site:
        [group] = json.loads(await site.get("/sd/miners", Host="exporter:10777"))
        assert group == {
            "targets": ["exporter:10777"],
            "labels": {
                "__scheme__": "http",
                "__metrics_path__": "/probe",
                "__param_target": "l9",
                "__param_module": "vnish",
                "__scrape_interval__": "20000ms",
                "__scrape_timeout__": "4500ms",
                "instance": "l9",
                "site": "l9",
                "rack": "1",
            },
        }
        [pool] = json.loads(await site.get("/sd/pools"))
        assert pool["labels"]["__param_target"] == "prohashing"
        assert pool["labels"]["instance"] == "prohashing"


async def test_discovery_is_sent_again_only_when_it_changed(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9]) as site:

        async def discover(known: str, **headers: str) -> tuple[int, str, str]:
            asked = site.client.get("/sd/miners", headers={"If-None-Match": known, **headers})
            async with asked as response:
                assert response.headers["Cache-Control"] == "no-cache"
                assert response.headers["Vary"] == "Accept-Encoding, Host"
                return response.status, response.headers["ETag"], await response.text()

        status, tag, body = await discover('"another"')
        assert status == 200
        assert json.loads(body)
        assert await discover(tag) == (304, tag, "")
        assert await discover(f'"another", {tag}') == (304, tag, "")
        # Its targets are where it is asked.
        elsewhere = await discover(tag, Host="exporter:10777")
        assert elsewhere[0] == 200
        assert elsewhere[1] != tag
        config = yaml.safe_load(site.runtime.path.read_text())
        config["fleet"]["miners"][0]["labels"]["rack"] = "2"
        site.runtime.path.write_text(yaml.safe_dump(config))
        assert await site.runtime.reload() == []
        status, changed, body = await discover(tag)
        assert (status, changed != tag) == (200, True)
        assert json.loads(body)[0]["labels"]["rack"] == "2"


async def test_a_large_discovery_is_compressed(tmp_path: Path) -> None:
    def fill(config: dict[str, Any]) -> None:
        config["fleet"]["miner_ips"] = [f"127.9.{index // 250}.{1 + index % 250}" for index in range(3000)]

    async with serve_site(tmp_path, [L9], edit=fill) as site:
        async with site.client.get("/sd/miners", headers={"Accept-Encoding": "gzip"}) as response:
            assert response.headers["Content-Encoding"] == "gzip"
            assert int(response.headers["Content-Length"]) < 100_000
            groups = await response.json()
        assert len({group["labels"]["instance"] for group in groups}) == 3001
        async with site.client.get("/sd/miners", headers={"Accept-Encoding": "identity"}) as response:
            assert "Content-Encoding" not in response.headers
            assert await response.json() == groups


async def test_discovery_needs_to_know_where_it_was_asked(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9]) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.client.port)
        writer.write(b"GET /sd/miners HTTP/1.0\r\n\r\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        assert answer.startswith(b"HTTP/1.0 400 ")
        assert b"a Host header is needed" in answer


async def test_openmetrics_for_those_who_ask(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9]) as site:
        accept = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4"
        for path in ("/probe?target=l9", "/fleet", "/metrics"):
            async with site.client.get(path, headers={"Accept": accept}) as response:
                assert response.headers["Content-Type"].startswith(
                    "application/openmetrics-text; version=1.0.0"
                )
                assert list(parse_openmetrics(await response.text()))
            async with site.client.get(path) as response:
                assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")


async def test_the_exporters_own_series(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9, L9_NEW]) as site:
        await site.simulation.inject("l9", "http_500")
        for _ in range(3):
            await site.get("/probe?target=l9")
        await site.get("/probe?target=l9-new")
        text = await site.get("/metrics")
        assert value(text, "minefleet_miners") == 2
        assert value(text, "minefleet_probes_total", module="vnish") == 4
        assert value(text, "minefleet_probe_failures_total", module="vnish", reason="http_status") == 3
        assert value(text, "minefleet_breakers", module="vnish", state="open") == 1
        assert value(text, "minefleet_breakers", module="vnish", state="closed") == 1
        assert value(text, "minefleet_config_last_reload_successful") == 1
        assert "_created" not in text


async def test_debug_shows_each_request(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9]) as site:
        text = await site.get("/probe?target=l9&debug=true")
        assert re.search(r"^GET /api/v1/info: 200, \d+ bytes, \d+ ms$", text, re.MULTILINE)
        assert "vnish_up 1.0" in text
        await site.simulation.inject("l9", "html")
        text = await site.get("/probe?target=l9&debug=true")
        assert "down, not_json" in text


async def test_a_good_reload_is_taken_over_and_keeps_breakers_and_budget(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9, L9_NEW]) as site:
        await site.simulation.inject("l9", "http_500")
        for _ in range(3):
            await site.get("/probe?target=l9")
        await site.get("/probe?target=prohashing")
        config = yaml.safe_load(site.runtime.path.read_text())
        config["fleet"]["miners"][0]["thresholds"] = {"temperature_critical": 99}
        del config["fleet"]["miners"][1]
        config["prohashing"]["rate_limit_requests_per_hour"] = 100
        site.runtime.path.write_text(yaml.safe_dump(config))
        async with site.client.post("/-/reload") as response:
            assert response.status == 200
        text = await site.get("/probe?target=l9")
        assert value(text, "vnish_breaker_state", state="open") == 1
        assert value(text, "minefleet_threshold_temperature_critical_celsius") == 99
        await site.get("/probe?target=l9-new", 400)
        pool = await site.get("/probe?target=prohashing")
        assert value(pool, "mining_pool_request_budget_limit") == 100
        assert value(pool, "mining_pool_requests_total") == 4
        # The first hour starts with a tenth of the limit, ten at least.
        assert value(pool, "mining_pool_request_budget_remaining") == 6


async def test_a_bad_reload_changes_nothing_and_says_why(
    tmp_path: Path, quiet_logs: list[dict[str, Any]]
) -> None:
    async with serve_site(tmp_path, [L9]) as site:
        good = site.runtime.path.read_text()
        site.runtime.path.write_text("fleet: {miner_ips: [x y]}")
        async with site.client.post("/-/reload") as response:
            assert response.status == 500
            assert "config.yaml:1: fleet.miner_ips[0]: expected host" in await response.text()
        assert value(await site.get("/probe?target=l9"), "vnish_up") == 1
        assert value(await site.get("/metrics"), "minefleet_config_last_reload_successful") == 0
        assert [e["event"] for e in quiet_logs if e["log_level"] == "error"] == [
            "configuration not taken over"
        ]
        site.runtime.path.write_text(good)
        async with site.client.post("/-/reload") as response:
            assert response.status == 200
        assert value(await site.get("/metrics"), "minefleet_config_last_reload_successful") == 1


async def test_a_defect_while_reloading_is_a_failed_reload(
    tmp_path: Path, quiet_logs: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("hunter2")

    async with serve_site(tmp_path, [L9]) as site:
        monkeypatch.setattr("exporter.server.runtime.load", broken)
        async with site.client.post("/-/reload") as response:
            assert response.status == 500
            assert "hunter2" not in await response.text()
        assert value(await site.get("/metrics"), "minefleet_config_last_reload_successful") == 0
        assert value(await site.get("/probe?target=l9"), "vnish_up") == 1


@contextlib.asynccontextmanager
async def seven_miners(tmp_path: Path, tail: str = "") -> AsyncIterator[Site]:
    """A site of seven miners, whose file ends in *tail*."""

    def seven(config: dict[str, Any]) -> None:
        config["fleet"] = yaml.safe_load(miners(7))["fleet"]

    async with serve_site(tmp_path, [L9], edit=seven) as site:
        if tail:
            site.runtime.path.write_text(miners(7) + tail)
            assert await reload(site) == (200, "Reloaded\n")
        yield site


def miners(count: int) -> str:
    return "fleet:\n  miner_ips:\n" + "".join(f"    - 127.77.1.{n}\n" for n in range(1, count + 1))


async def reload(site: Site, query: str = "") -> tuple[int, str]:
    async with site.client.post(f"/-/reload{query}") as response:
        return response.status, await response.text()


async def test_a_file_that_lost_most_of_its_miners_is_taken_over_when_asked(
    tmp_path: Path, quiet_logs: list[dict[str, Any]]
) -> None:
    async with seven_miners(tmp_path) as site:
        site.runtime.path.write_text(miners(3))
        status, text = await reload(site)
        assert status == 500
        assert "expected at least half of the 7 miners there are, found 3" in text
        assert "POST /-/reload?force=1" in text
        assert len(site.runtime.fleet.miners) == 7
        assert value(await site.get("/metrics"), "minefleet_config_last_reload_successful") == 0
        [event] = [e for e in quiet_logs if e["log_level"] == "error"]
        assert "found 3" in event["faults"][0]
        assert (await reload(site, "?force=0"))[0] == 500
        assert await reload(site, "?force=1") == (200, "Reloaded\n")
        assert len(site.runtime.fleet.miners) == 3
        assert value(await site.get("/metrics"), "minefleet_config_last_reload_successful") == 1
        assert (await reload(site))[0] == 200, "what was forced once is the fleet there is"


async def test_half_of_the_miners_may_go(tmp_path: Path) -> None:
    async with seven_miners(tmp_path) as site:
        site.runtime.path.write_text(miners(4))
        assert (await reload(site))[0] == 200


async def test_a_file_that_lost_its_end_marker_is_not_taken_over(tmp_path: Path) -> None:
    async with seven_miners(tmp_path, "...\n") as site:
        site.runtime.path.write_text(miners(6))
        status, text = await reload(site)
        assert status == 500
        assert "expected the end marker ... which the running configuration has, found none" in text
        assert len(site.runtime.fleet.miners) == 7
        site.runtime.path.write_text(miners(5) + "...\n")
        assert (await reload(site))[0] == 200
        site.runtime.path.write_text(miners(4))
        assert (await reload(site, "?force=1"))[0] == 200


@pytest.mark.parametrize("whole", [miners(40) + "economics: {electricity_usd_per_kwh: 0.08}\n...\n"])
async def test_no_cut_of_a_file_with_an_end_marker_is_taken_over(tmp_path: Path, whole: str) -> None:
    async with seven_miners(tmp_path, "...\n") as site:
        path = site.runtime.path
        path.write_text(whole)
        assert (await reload(site))[0] == 200
        # Without its last line break the marker is still whole.
        for size in range(0, len(whole) - 1, 7):
            path.write_text(whole[:size])
            assert await site.runtime.reload() != [], whole[:size]
        assert len(site.runtime.fleet.miners) == 40


@pytest.mark.parametrize("query", ["?force=yes", "?force", "?force=1&force=0", "?forced=1"])
async def test_a_reload_takes_one_parameter(tmp_path: Path, query: str) -> None:
    async with serve_site(tmp_path, [L9]) as site:
        assert (await reload(site, query))[0] == 400


async def test_reloads_that_arrive_together_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    reads: list[str] = []

    def slow(path: Path, environ: Any) -> Any:
        reads.append(path.read_text())
        begun.set()
        assert go_on.wait(60)
        return load(path, environ)

    async with serve_site(tmp_path, [L9]) as site:
        monkeypatch.setattr("exporter.server.runtime.load", slow)
        runtime = site.runtime
        together = [asyncio.create_task(runtime.reload()) for _ in range(50)]
        assert await asyncio.to_thread(begun.wait, 60)
        assert len(reads) == 1
        # The file is being read: who asks now may mean a newer one, and all of them get that.
        runtime.path.write_text(runtime.path.read_text() + "# newer\n")
        later = [asyncio.create_task(runtime.reload()) for _ in range(50)]
        impatient = asyncio.create_task(runtime.reload())
        await asyncio.sleep(0)
        impatient.cancel()
        assert await site.get("/-/healthy") == "Healthy\n", "others are answered meanwhile"
        go_on.set()
        assert await asyncio.gather(*together, *later) == [[]] * 100
        assert len(reads) == 2
        assert reads[1].endswith("# newer\n")


async def test_the_configuration_page_hides_logins_and_paths_of_urls(tmp_path: Path) -> None:
    def urls(config: dict[str, Any]) -> None:
        config["prohashing"] |= {
            "base_url": "http://127.0.0.1:3000/hunter2/",
        }
        config["fleet"]["expected_pools"] = [
            "stratum+tcp://ali:hunter2@pool.example:3333",
            "ali:hun/ter2@pool.example",
            "https://pool.example/?key=hunter2",
            "pool.example:3333",
        ]

    async with serve_site(tmp_path, [L9], edit=urls) as site:
        page = yaml.safe_load(await site.get("/config"))
        assert page["fleet"]["expected_pools"] == [
            "stratum+tcp://<secret>@pool.example:3333",
            "<secret>@pool.example",
            "https://pool.example/<hidden>",
            "pool.example:3333",
        ]
        [pool] = page["pools"]
        assert pool["base_url"] == "http://127.0.0.1:3000/<hidden>"


async def test_reload_is_a_post(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9]) as site:
        assert "requires a POST request" in await site.get("/-/reload", 405)
        assert await site.get("/-/healthy") == "Healthy\n"
        assert await site.get("/-/ready") == "Ready\n"


async def test_users_and_passwords(tmp_path: Path) -> None:
    hashed = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode()
    async with serve_site(tmp_path, [L9], web_config=WebConfig(users={"ali": hashed})) as site:
        await site.get("/fleet", 401)
        await site.get("/-/healthy")
        for login, password, status in (
            ("ali", "open sesame", 200),
            ("ali", "open sesame", 200),
            ("ali", "wrong", 401),
            ("baba", "open sesame", 401),
        ):
            encoded = base64.b64encode(f"{login}:{password}".encode()).decode()
            await site.get("/fleet", status, Authorization=f"Basic {encoded}")
        await site.get("/fleet", 401, Authorization="Basic !!!")
        async with site.client.post("/-/reload") as response:
            assert response.status == 401


def test_the_web_configuration_file(tmp_path: Path) -> None:
    from exporter.config.load import ConfigError

    path = tmp_path / "web.yml"
    hashed = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)).decode()
    path.write_text(f"basic_auth_users: {{ali: {hashed}}}")
    assert load_web_config(path).users == {"ali": hashed}
    assert load_web_config(None).users == {}
    for text, expected in (
        (
            "basic_auth_user: {ali: hunter2}",
            "basic_auth_user: expected tls_server_config or basic_auth_users",
        ),
        ("tls_server_config: {cert_file: a, key_file: b}", "expected readable files, found No such file"),
        ("basic_auth_users: {ali: hunter2}", "basic_auth_users.ali: expected a bcrypt hash"),
        ("\xff", "expected text in UTF-8"),
    ):
        path.write_text(text, "latin-1")
        with pytest.raises(ConfigError) as caught:
            load_web_config(path)
        assert expected in str(caught.value)
        assert "hunter2" not in str(caught.value)


async def test_no_secret_is_on_any_page(tmp_path: Path, quiet_logs: list[dict[str, Any]]) -> None:
    def key(config: dict[str, Any]) -> None:
        config["prohashing"]["api_key"] = "${KEY}"

    async with serve_site(tmp_path, [L9], edit=key, environ={"KEY": "hunter2"}) as site:
        site.simulation.relay.key = "another"
        pages = [
            await site.get(path)
            for path in (
                "/",
                "/config",
                "/fleet",
                "/metrics",
                "/sd/pools",
                "/probe?target=prohashing&debug=true",
            )
        ]
        assert "unauthorised" in pages[-1]
        assert "<secret>" in pages[1]
        assert "hunter2" not in "".join(pages) + repr(quiet_logs)


async def test_the_landing_page_shows_the_fleet_worst_first(tmp_path: Path) -> None:
    async with serve_site(tmp_path, mixed_fleet(6)) as site:
        await site.simulation.inject("barn1-l7-05", "unplugged")
        await site.simulation.inject("barn1-l9-04", "board_lost")
        site.simulation.miners["barn1-l9-04"].miner.advance(10)
        text = await site.get("/")
        assert "5 of 6" in text
        assert "Earning a day" in text
        rows = re.findall(
            r'badge (\w+)">\w+</span></td><td class="name"><a href="/probe\?target=([\w-]+)', text
        )
        assert rows[0] == ("down", "barn1-l7-05")
        assert rows[1] == ("warn", "barn1-l9-04")
        assert {state for state, _ in rows[2:]} == {"ok"}
        assert "board 2 failure" in text


async def test_a_miner_without_a_state_that_hashes_is_well(tmp_path: Path) -> None:
    """Firmware 3.9 has no state: it was called stopped, and its power left out, while it earned."""
    async with serve_site(tmp_path, [MinerSpec("l3", "l3+", "3.9.0")]) as site:
        text = await site.get("/")
        assert re.findall(r'badge (\w+)">\w+</span></td>', text) == ["ok"]
        assert re.search(r"<b>0\.7\d kW</b>", text), "the boards' consumption"
        assert re.search(r"<b>\$\d\.\d\d</b><span>Earning a day", text)


async def test_the_landing_page_warns_of_what_alerts_fire_for(tmp_path: Path) -> None:
    def expect(config: dict[str, Any]) -> None:
        config["fleet"]["expected_pools"] = ["eu.pool.example", "us.pool.example"]

    async with serve_site(tmp_path, [L9, L7], edit=expect) as site:
        await site.simulation.inject("l7", "wrong_worker")
        text = await site.get("/")
        assert re.findall(r'badge (\w+)">\w+</span></td><td class="name"><a[^>]*>(\w+)', text) == [
            ("warn", "l7"),
            ("ok", "l9"),
        ]
        assert text.count("set to mine for somebody else at stratum+tcp://pool.thief.example:3333") == 1
        stolen, earned = re.findall(r'<td class="figure">(\$[\d.]+)</td>', text)
        assert stolen == "$0.00" != earned
        assert f"<b>{earned}</b><span>Earning a day" in text


async def test_what_is_wrong_comes_before_the_figures(tmp_path: Path) -> None:
    """On a phone the first columns are what one sees."""
    async with serve_site(tmp_path, [L9]) as site:
        heads = re.findall(r"<th>([^<]+)</th>", await site.get("/"))
        assert heads[:3] == ["State", "Miner", "What is wrong"]


def _no_power(config: dict[str, Any]) -> None:
    config["economics"] = {"electricity_usd_per_kwh": 0.1}
    for miner in config["fleet"]["miners"]:
        miner["power_watts"] = 3000 if miner["name"] == "l9" else None


async def test_power_nobody_knows_is_no_zero_and_makes_no_margin(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9], edit=_no_power) as site:
        tell_no_power(site, "l9")
        text = await site.get("/")
        assert "<b>3.00 kW</b>" in text, "as configured"
        assert "<b>$7.20</b><span>Electricity a day" in text
    async with serve_site(tmp_path, [L9, L7], edit=_no_power) as site:
        tell_no_power(site, "l7")
        text = await site.get("/")
        assert re.search(r"<b>3\.\d\d kW and 1 unknown</b>", text)
        assert "Earning a day" in text
        assert "Electricity a day" not in text
        assert "Margin a day" not in text


def tell_no_power(site: Any, name: str) -> None:
    host = site.simulation.miners[name]
    real = host._open["summary"]

    def summary(unlocked: bool) -> Any:
        answer = real(unlocked)
        answer["miner"] |= {"power_consumption": 0, "power_usage": 0}
        return answer

    host._open["summary"] = summary


async def test_a_price_the_page_withholds_is_no_price(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9]) as site:
        assert "no fresh price" not in await site.get("/")
    async with serve_site(tmp_path, [L9], wall_clock=lambda: 0.0) as site:
        assert "no fresh price" in await site.get("/"), "dated ahead of the clock"


async def test_a_miner_that_stopped_answering_long_ago_is_not_ok(tmp_path: Path, site_patience: None) -> None:
    async with serve_site(tmp_path, [L9], timeout_seconds=30) as site:
        assert ">ok</span>" in await site.get("/")
        reader = site.runtime.fleet.miners["l9"].reader
        reader.last.at -= 7200
        await site.simulation.inject("l9", "hanging")
        text = await site.get("/")
        assert ">ok</span></td>" not in text
        assert "asked, and no answer yet" in text


async def test_a_name_with_signs_of_a_url_leads_to_its_own_probe(tmp_path: Path) -> None:
    def rename(config: dict[str, Any]) -> None:
        config["fleet"]["miners"][0]["name"] = "barn 1 & <2> #3"

    async with serve_site(tmp_path, [L9], edit=rename) as site:
        page = await site.get("/")
        link = re.search(r'href="(/probe\?target=barn[^"]*)"', page)
        assert link
        assert "barn 1 & <2> #3" in await site.get(html.unescape(link[1]))


async def test_a_device_cannot_write_into_the_landing_page(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9]) as site:
        host = site.simulation.miners["l9"]
        evil = "<script>alert(1)</script>"
        real = host._open["info"]
        host._open["info"] = lambda unlocked: {**real(unlocked), "miner": evil}
        async with site.client.get("/") as response:
            text = await response.text()
            assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        assert evil not in text
        assert "&lt;script&gt;" in text


async def test_the_landing_page_does_not_wait_for_a_hanging_miner(
    tmp_path: Path, site_patience: None
) -> None:
    async with serve_site(tmp_path, [L9, L7], timeout_seconds=30) as site:
        await site.simulation.inject("l9", "hanging")
        text = await site.get("/")
        assert "not asked yet" in text
        assert "Antminer L7" in text


@pytest.fixture
def site_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exporter.server.overview._PATIENCE_SECONDS", 0.3)


async def test_two_prometheus_at_once_are_one_read(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9]) as site:
        host = site.simulation.miners["l9"]
        await asyncio.gather(site.get("/probe?target=l9"), site.get("/probe?target=l9"), site.get("/fleet"))
        assert [path for _, path in host.requests].count("/api/v1/summary") == 1


async def test_the_pool_is_asked_once_a_sync_interval(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9]) as site:
        for _ in range(3):
            text = await site.get("/probe?target=prohashing")
        assert [path for _, path in site.simulation.pool.requests] == ["/profitability", "/status"]
        assert value(text, "mining_pool_request_budget_remaining") == 448, "of the tenth a start begins with"


async def test_a_weak_board_is_never_asked_two_things_at_once(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9, SIMPLE]) as site:
        for host in site.simulation.miners.values():
            host.miner.inject("slow", {"seconds": 0.01})
        await asyncio.gather(
            *(site.get(path) for path in ("/fleet", "/probe?target=l9", "/probe?target=simple", "/fleet") * 3)
        )
        assert {host.most_at_once for host in site.simulation.miners.values()} == {1}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/metrics", {}, 200),
        ("GET", "/", {}, 200),
        ("GET", "/nothing/here", {}, 404),
        ("DELETE", "/metrics", {}, 405),
        ("GET", "/-/reload", {}, 405),
        ("GET", "/probe", {}, 400),
        ("GET", "/probe?target=203.0.113.7", {}, 403),
        ("GET", "/metrics", {"Expect": "a-miracle"}, 417),
        ("POST", "/-/reload", {"Origin": "https://evil.example"}, 403),
        ("GET", "/sd/miners", {}, 500),
    ],
)
async def test_every_answer_carries_the_same_headers(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    path: str,
    headers: dict[str, str],
    status: int,
) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("hunter2")

    monkeypatch.setattr("exporter.server.http_sd.Discovery.body", broken)
    async with (
        serve_site(tmp_path, [L9]) as site,
        site.client.request(method, path, headers=headers) as response,
    ):
        assert response.status == status
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")
        assert "hunter2" not in await response.text()


async def test_the_links_of_messages_lead_to_the_runbook(tmp_path: Path) -> None:
    rules = yaml.safe_load((ROOT / "prometheus/rules/minefleet.alerts.yml").read_text())
    links = {
        rule["annotations"]["runbook_url"]
        for group in rules["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    assert len(links) > 40
    template = (ROOT / "alertmanager/templates/minefleet.tmpl").read_text()
    assert '{{ define "minefleet.docs" }}http://localhost:10777/{{ end }}' in template
    async with serve_site(tmp_path, [L9]) as site:
        for path, anchor in (link.split("#") for link in links):
            page = await site.get(f"/{path}")
            assert f'<h2 id="{anchor}">' in page
            assert "<script" not in page
