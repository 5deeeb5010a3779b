"""The second store for years, with the real Prometheus and VictoriaMetrics: what it gets, and what it keeps."""

from __future__ import annotations

import contextlib
import re
import shutil
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from exporter.simulator.simulation import MinerSpec, Simulation
from exporter.simulator.stack import Stack, free_port
from tests.conftest import ROOT
from tests.e2e.programs import answer_of, discovering_each_second, eventually, running, serving

FOLDER = ROOT / "deploy/history"


def flags() -> list[str]:
    services = yaml.safe_load((FOLDER / "compose.yml").read_text())["services"]
    return [
        re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", flag)
        for flag in services["victoria-metrics"]["command"]
        if not flag.startswith(("-storageDataPath", "-httpListenAddr"))
    ]


def test_its_prometheus_is_the_shipped_one_and_writes_to_it() -> None:
    shipped = yaml.safe_load((ROOT / "prometheus/prometheus.yml").read_text())
    history = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    [write] = history.pop("remote_write")
    assert history == shipped
    services = yaml.safe_load((FOLDER / "compose.yml").read_text())["services"]
    assert write["url"] == "http://victoria-metrics:8428/api/v1/write"
    assert "-httpListenAddr=:8428" in services["victoria-metrics"]["command"]
    [source] = yaml.safe_load((FOLDER / "datasource.yml").read_text())["datasources"]
    assert source["url"] == "http://victoria-metrics:8428"
    assert f"-dedup.minScrapeInterval={source['jsonData']['timeInterval']}" in flags()


def test_only_how_long_prometheus_keeps_is_changed() -> None:
    single = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["prometheus"]
    changed = yaml.safe_load((FOLDER / "compose.yml").read_text())["services"]["prometheus"]
    assert [flag for flag in changed["command"] if flag not in single["command"]] == [
        "--storage.tsdb.retention.time=${PROMETHEUS_RETENTION:-30d}"
    ]
    assert len(changed["command"]) == len(single["command"])
    for bind in changed["volumes"]:
        assert (ROOT / bind["source"]).is_file()


@pytest.mark.e2e
async def test_chips_stay_in_prometheus_and_all_else_is_kept_for_years(tmp_path: Path) -> None:
    program = shutil.which("victoria-metrics")
    if program is None:
        pytest.skip("victoria-metrics is not on PATH; Debian has it in a package of that name")
    [write] = yaml.safe_load((FOLDER / "prometheus.yml").read_text())["remote_write"]
    victoria = f"127.0.0.1:{free_port()}"

    def written(settings: dict[str, Any]) -> None:
        settings["remote_write"] = [{**write, "url": f"http://{victoria}/api/v1/write"}]
        discovering_each_second(settings)

    async with contextlib.AsyncExitStack() as opened:
        simulation = await opened.enter_async_context(Simulation([MinerSpec("barn1-l9-01", "l9", "1.3.4")]))
        config = simulation.configuration(
            poll_interval_seconds=1, timeout_seconds=0.8, min_interval_seconds=0
        )
        exporter = await opened.enter_async_context(serving(config, tmp_path))
        await opened.enter_async_context(
            running(
                program,
                *flags(),
                f"-storageDataPath={tmp_path / 'history'}",
                f"-httpListenAddr={victoria}",
                directory=tmp_path,
            )
        )
        stack = Stack(
            ROOT, tmp_path, exporter=exporter, slack_url="http://127.0.0.1:9/", edit_prometheus=written
        )
        opened.push_async_callback(stack.stop)
        await stack.start()
        session = await opened.enter_async_context(aiohttp.ClientSession())

        async def series(address: str, selector: str) -> list[dict[str, str]]:
            return await answer_of(session, address, "series", **{"match[]": selector})  # type: ignore[no-any-return]

        async def scraped_again_and_again() -> bool:
            query = "count_over_time(vnish_up[5m]) > 4"
            return bool((await answer_of(session, stack.prometheus, "query", query=query))["result"])

        async def kept() -> bool:
            return bool(await series(victoria, "vnish_board_hashrate_hashes_per_second"))

        await eventually(scraped_again_and_again)
        await eventually(kept)
        assert await series(stack.prometheus, '{chip!=""}')
        assert await series(victoria, '{chip!=""}') == []
        # What tells of all chips together is the miner's.
        for name in ("vnish_chip_temperature_max_celsius", "vnish_board_chips", "minefleet_miner_info"):
            here, there = await series(stack.prometheus, name), await series(victoria, name)
            assert here, name
            assert there, name
        url = f"http://{victoria}/api/v1/export"
        async with session.get(url, params={"match[]": "vnish_up"}) as response:
            [line] = (await response.text()).splitlines()
        stamps = yaml.safe_load(line)["timestamps"]
        # Five minutes have one sample; the run may lie in two of them.
        assert len(stamps) <= 2
