"""No key is anywhere: logs at every level, every page, errors and their tracebacks, for every driver."""

from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from exporter.errors import ProbeError
from tests.pools.sites import pool_site
from tests.pools.wamp import MINERS

PAGES = (
    *("/probe?target={}", "/probe?target={}&debug=true", "/fleet", "/", "/config", "/metrics", "/sd/pools"),
    "/sd/miners",
)
FAULTS = ("wrong_key", "unknown_account", "key_echoed", "html", "http_500", "truncated", "dead", "throttled")


@pytest.mark.parametrize(
    "kind", ["litecoinpool", "viabtc", "f2pool", "powerpool", "mining_dutch", "prohashing"]
)
async def test_a_key_is_nowhere(tmp_path: Path, everything_logged: list[str], kind: str) -> None:
    shown: list[str] = []
    async with pool_site(tmp_path, kind, MINERS[:1], timeout_seconds=2.0) as site:
        key = site.simulation.account.key
        assert key in site.runtime.path.read_text(), "else nothing is looked for"
        [(name, target)] = site.runtime.fleet.pools.items()
        for fault in ("", *FAULTS):
            await site.simulation.repair(kind)
            if fault:
                await site.simulation.inject(kind, fault)
            target.reader.last = None
            for page in PAGES:
                async with site.client.get(page.format(name)) as response:
                    assert response.status == 200
                    shown.append(await response.text() + str(response.headers))
            client = target.reader.open_client(site.runtime.clock() + 2)
            try:
                await target.reader._read(client)
            except ProbeError as error:
                shown += [*traceback.format_exception(error), repr(error), str(client.steps)]
        shown += map(str, site.logged)
        assert site.simulation.pools[kind].requests
    assert key not in "".join(shown)
    assert key not in "".join(everything_logged)
