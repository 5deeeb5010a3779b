"""The section ``market`` in the file, and what the commands say of it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.config.load import ConfigError, load
from exporter.simulator.simulation import MinerSpec, Simulation
from tests.conftest import ROOT

L9 = MinerSpec("l9", "l9", "1.2.7")


async def run(path: Path, *arguments: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "exporter", *arguments, f"--config.file={path}"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin"},
    )
    out, _ = await process.communicate()
    assert "Traceback" not in out.decode()
    return process.returncode or 0, out.decode()


def faults(tmp_path: Path, market: Any, **more: Any) -> list[str]:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"fleet": {"miner_ips": ["127.0.0.1"]}, "market": market, **more}))
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    return [fault.partition(": ")[2] for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("market", "fault"),
    [
        ({}, "market: expected network and prices, or prices_usd; found neither"),
        (
            {"network": "kraken"},
            "market.network: expected sources among litecoinspace, litesolo, viabtc; 'kraken' is none",
        ),
        (
            {"prices": ["krakken"]},
            "market.prices: expected sources among coinbase, coingecko, kraken, viabtc; 'krakken' is none",
        ),
        ({"prices": ["kraken", "kraken"]}, "market.prices: expected each source once, found one twice"),
        (
            {"prices": "kraken", "prices_usd": {"LTC": 1}, "prices_date": "2026-11-26"},
            "market: expected prices or prices_usd, found both",
        ),
        (
            {"prices_usd": {"LTC": 40.5}},
            "market: expected prices_date, the day the values were written; found none",
        ),
        (
            {"prices_usd": {"XMR": 40.5}, "prices_date": "2026-11-26"},
            "market.prices_usd: expected coins among LTC, DOGE, BTC; 'XMR' is none",
        ),
        (
            {"prices_usd": {"LTC": 0}, "prices_date": "2026-11-26"},
            "market.prices_usd.LTC: expected a number above 0, found 0",
        ),
        (
            {"prices_usd": {"LTC": 1}, "prices_date": "26.11."},
            "market.prices_date: expected a date such as 2026-11-26, found '26.11.'",
        ),
        (
            {"network": "litesolo", "sync_interval_seconds": 5},
            "market.sync_interval_seconds: expected a number of at least 60, found 5",
        ),
        ({"network": "litesolo", "price": []}, "market.price: unknown key; did you mean prices?"),
        (
            {"network": "litesolo", "base_urls": {"litesole": "http://127.0.0.1"}},
            "market.base_urls: expected sources among coinbase, coingecko, kraken, litecoinspace, litesolo, viabtc;"
            " 'litesole' is none",
        ),
        (
            {"network": "litesolo", "fee_percent": 100},
            "market.fee_percent: expected a number below 100, found 100",
        ),
    ],
)
def test_each_mistake_is_one_clear_line(tmp_path: Path, market: Any, fault: str) -> None:
    assert faults(tmp_path, market) == [fault]


def test_no_miner_and_no_account_is_named_market_beside_the_section(tmp_path: Path) -> None:
    market = {"network": "litesolo"}
    miner = {"miners": [{"address": "127.0.0.1", "name": "market"}]}
    assert faults(tmp_path, market, fleet=miner) == [
        "market: expected no miner named market beside this section, found one"
    ]
    pools = [{"type": "litecoinpool", "name": "market", "api_key": "key"}]
    assert faults(tmp_path, market, pools=pools) == [
        "pools[0].name: expected a name of its own, found it at the section market too"
    ]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"fleet": miner, "pools": []}))
    assert load(path, {}).market is None


def test_one_source_may_stand_as_a_word(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("fleet: {miner_ips: [127.0.0.1]}\nmarket: {network: litesolo, prices: kraken}\n")
    market = load(path, {}).market
    assert market is not None
    assert market.names == ["litesolo", "kraken"]


async def test_check_says_who_is_asked_and_which_values_are_too_old(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(
        "fleet: {miner_ips: [127.0.0.1]}\n"
        "market: {network: litesolo, prices_usd: {LTC: 42.5, DOGE: 0.07}, prices_date: 2020-01-31}\n"
    )
    status, out = await run(path, "check")
    assert status == 0
    assert "market: networks from litesolo; values of 2020-01-31, which are too old and not used\n" in out


async def test_diagnose_market(tmp_path: Path) -> None:
    async with Simulation([L9], pools=("viabtc",), market=("litesolo", "kraken", "coingecko")) as simulation:
        simulation.market.restless = 0.0
        path = tmp_path / "config.yaml"
        config = simulation.configuration(retries=0, timeout_seconds=3)
        config["market"]["fee_percent"] = 2
        path.write_text(yaml.safe_dump(config))
        status, out = await run(path, "diagnose", "market")
        assert status == 0, out
        assert "network: litesolo; prices: kraken, coingecko" in out
        assert "litesolo /api/v1/chains" in out
        assert "tells of LTC, DOGE, BTC" in out
        assert "price of DOGE" in out
        usd = 8.64e13 * (6.25 / (1.05e8 * 2**32) * 42.5 + 10_000 / (4.2e7 * 2**32) * 0.0726) * 0.98
        told = re.search(r"a GH/s of scrypt earns \$([0-9.]+) a day less 2 %", out)
        assert told
        assert float(told[1]) == pytest.approx(usd, rel=3e-3)
        # The spare fails: a warning. The only source of the network does: no price.
        await simulation.inject("market.coingecko", "throttled")
        status, out = await run(path, "diagnose", "market", "--json")
        checks = {check["name"]: check for check in json.loads(out)}
        assert status == 0
        assert checks["coingecko"]["verdict"] == "warning"
        assert "raise sync_interval_seconds" in checks["coingecko"]["advice"]
        await simulation.inject("market.litesolo", "html")
        status, out = await run(path, "diagnose", "market")
        assert status == 1
        assert "html: /api/v1/chains answered with a web page" in out
        assert "not known: the network of LTC, the network of DOGE" in out
        status, out = await run(path, "probe", "market")
        assert status == 1
        assert "market is down" in out


@pytest.mark.parametrize(
    ("pool", "market", "words"),
    [
        ("viabtc", (), "the pool told no price for a hash"),
        ("viabtc", ("litesolo", "kraken"), "a day, computed with the market's figures"),
        ("yiimp", (), "BTC a day; in USD it is not known"),
        ("yiimp", ("litesolo", "kraken"), "a day, computed with the market's figures"),
        ("litecoinpool", ("litesolo", "kraken"), "a GH/s of scrypt earns $"),
    ],
)
async def test_diagnose_of_an_account_says_what_a_hash_earns_in_what_is_known(
    tmp_path: Path, pool: str, market: tuple[str, ...], words: str
) -> None:
    async with Simulation([L9], pools=(pool,), market=market) as simulation:
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(simulation.configuration(retries=0)))
        status, out = await run(path, "diagnose", pool)
        assert status == 0, out
        assert words in out
        assert ("Add the section market" in out) is (pool != "litecoinpool" and not market)
        assert ("computed" in out) is (pool != "litecoinpool" and bool(market))
