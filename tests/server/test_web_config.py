"""Passwords: what is remembered, what is bounded, and what a stranger can learn or cost."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import pytest

from exporter.server import web_config
from exporter.server.web_config import BusyError, WebConfig
from tests.conftest import L9, serve_site


def hashed(password: str, cost: int = 4) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(cost)).decode()


def basic(login: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()


class Checks:
    """Counts the real checks, and can hold them up."""

    def __init__(self) -> None:
        self.costs: list[int] = []
        self.open = threading.Event()
        self.open.set()
        self.under_way = 0
        self.most = 0
        self._lock = threading.Lock()
        self._real = web_config._check

    def __call__(self, password: str, stored: str) -> bool:
        with self._lock:
            self.costs.append(int(stored.split("$")[2]))
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        self.open.wait(60)
        with self._lock:
            self.under_way -= 1
        return self._real(password, stored)


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> Iterator[Checks]:
    made = Checks()
    monkeypatch.setattr(web_config, "_check", made)
    yield made
    made.open.set()


async def test_a_remembered_success_survives_a_flood_of_wrong_passwords(checks: Checks) -> None:
    config = WebConfig(users={"ali": hashed("sesame")})
    assert await config.admits(basic("ali", "sesame"))
    for number in range(3000):
        assert not await config.admits(basic(("ali", f"stranger {number}")[number % 2], f"{number}"))
    checks.costs.clear()
    assert await config.admits(basic("ali", "sesame"))
    assert not checks.costs, "it was remembered"


async def test_a_flood_is_bounded_and_those_who_are_known_pass_through_it(checks: Checks) -> None:
    config = WebConfig(users={"ali": hashed("sesame")})
    assert await config.admits(basic("ali", "sesame"))
    checks.open.clear()
    flood = [asyncio.create_task(config.admits(basic("ali", f"{number}"))) for number in range(500)]
    done, waiting = await asyncio.wait(flood, return_when=asyncio.FIRST_EXCEPTION)
    while len(done) + web_config.MAX_CHECKS < len(flood):
        more, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        done |= more
    assert all(isinstance(task.exception(), BusyError) for task in done)
    assert await config.admits(basic("ali", "sesame"))
    # The threads everything else uses are free, look-ups of names among them.
    assert await asyncio.to_thread(lambda: "free") == "free"
    checks.open.set()
    assert {await task for task in waiting} == {False}
    assert checks.most <= 2
    assert not await config.admits(basic("ali", "another"))


async def test_the_same_password_asked_many_times_at_once_is_one_check(checks: Checks) -> None:
    config = WebConfig(users={"ali": hashed("sesame")})
    checks.open.clear()
    scrapes = [asyncio.create_task(config.admits(basic("ali", "sesame"))) for _ in range(200)]
    await asyncio.sleep(0)
    scrapes[0].cancel()
    await asyncio.wait(scrapes[:1])
    checks.open.set()
    assert await asyncio.gather(*scrapes[1:]) == [True] * 199
    assert len(checks.costs) == 1


async def test_a_wrong_password_asked_again_is_no_second_check(checks: Checks) -> None:
    config = WebConfig(users={"ali": hashed("sesame")})
    for _ in range(3):
        assert not await config.admits(basic("ali", "simsim"))
        assert not await config.admits(basic("baba", "sesame"))
    assert len(checks.costs) == 2


@pytest.mark.parametrize("cost", [4, 5, 7])
async def test_an_unknown_user_costs_what_a_known_one_does(checks: Checks, cost: int) -> None:
    config = WebConfig(users={"ali": hashed("sesame", cost)})
    for login in ("ali", "baba", ""):
        assert not await config.admits(basic(login, "simsim"))
    assert checks.costs == [cost] * 3


async def test_among_users_of_different_costs_an_unknown_one_is_like_one_of_them(checks: Checks) -> None:
    config = WebConfig(users={"ali": hashed("sesame", 4), "baba": hashed("simsim", 6)})
    for login in map(str, range(40)):
        checks.costs.clear()
        for password in ("a", "b", "c"):
            assert not await config.admits(basic(login, password))
        assert checks.costs in ([4] * 3, [6] * 3), "each name costs the same every time"


async def test_a_strangers_name_with_a_users_password_is_refused() -> None:
    config = WebConfig(users={"ali": hashed("sesame")})
    assert not await config.admits(basic("stranger", "sesame"))
    assert await config.admits(basic("ali", "sesame"))
    assert not await config.admits(basic("stranger", "sesame"))


@pytest.mark.parametrize("header", [None, "", "Basic", "Basic !!!", "Bearer YWxpOnNlc2FtZQ==", "Basic YWxp"])
async def test_what_names_nobody_is_refused_without_a_check(checks: Checks, header: str | None) -> None:
    config = WebConfig(users={"ali": hashed("sesame")})
    assert not await config.admits(header)
    assert not checks.costs


async def test_beyond_the_bound_the_answer_is_503(tmp_path: Path, checks: Checks) -> None:
    web = WebConfig(users={"ali": hashed("sesame")})
    async with serve_site(tmp_path, [L9], web_config=web) as site:
        await site.get("/metrics", Authorization=basic("ali", "sesame"))
        checks.open.clear()
        flood = [
            asyncio.create_task(status(site, basic("ali", f"{number}")))
            for number in range(web_config.MAX_CHECKS + 3)
        ]
        done: set[Any] = set()
        while len(done) < 3:
            more, _ = await asyncio.wait(set(flood) - done, return_when=asyncio.FIRST_COMPLETED)
            done |= more
        assert [task.result() for task in done] == [503] * 3
        await site.get("/metrics", Authorization=basic("ali", "sesame"))
        await site.get("/-/healthy")
        checks.open.set()
        assert sorted(await asyncio.gather(*flood)) == [401] * web_config.MAX_CHECKS + [503] * 3


async def status(site: Any, authorization: str) -> int:
    async with site.client.get("/metrics", headers={"Authorization": authorization}) as response:
        return int(response.status)
