"""``digest`` against the real Prometheus and VictoriaMetrics, with a day of series in them."""

from __future__ import annotations

import json
import re
import subprocess
import threading
from collections.abc import Iterator
from datetime import datetime, time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import yaml
from aiosmtpd.controller import Controller

from exporter.cli import main
from exporter.cli.digest import following
from exporter.digest import figures
from exporter.simulator.stack import find_program, free_port
from scripts.quality.store import Grid, Series, Store
from tests.bundle.test_prometheus import ALERTS, known_names, names_in
from tests.conftest import ROOT

# 25 November 2025, from midnight to midnight, and an hour.
START = 1_764_028_800
GRID = Grid(START, 60, 25 * 60)


def even(name: str, value: float, first: int = 0, last: int = GRID.size, **labels: str) -> Series:
    """A series of one value from one minute to before another."""
    values = np.full(GRID.size, np.nan)
    values[first:last] = value
    return Series({"__name__": name, **labels}, values)


def a_day() -> list[Series]:
    """Two miners, one of which was silent for the second half of the day, and their pool."""
    noon, midnight = 12 * 60, 24 * 60
    a, b = {"job": "m", "instance": "a"}, {"job": "m", "instance": "b"}
    pool = {"job": "p", "instance": "main"}
    revenue = "instance:minefleet_revenue_usd_per_day:estimate"
    lost = "instance:minefleet_lost_revenue_usd_per_day:estimate"
    cause = "instance_cause:minefleet_lost_revenue_usd_per_day:estimate"
    work = "instance_worker:{}:24h".format
    return [
        *(even("minefleet_miner_configured", 1, **one) for one in (a, b)),
        even("instance:vnish_hashing:bool", 1, **a),
        even("instance:vnish_hashing:bool", 1, 0, noon, **b),
        even(revenue, 20, **a),
        even(revenue, 10, 0, noon, **b),
        even("instance:minefleet_electricity_usd_per_day:estimate", 6, **a),
        even("instance:minefleet_electricity_usd_per_day:estimate", 6, 0, noon, **b),
        even(lost, 0, **a),
        even(lost, 10, noon, **b),
        even(cause, 10, noon, **b, cause="offline"),
        even("mining_pool_earned_24h_coins", 0.25, **pool, coin="LTC"),
        even("mining_pool_earned_24h_coins", 120, **pool, coin="DOGE"),
        even("mining_coin_price_usd", 80, **pool, coin="LTC"),
        even("ALERTS", 1, alertname="MinefleetWatchdog", alertstate="firing"),
        even("ALERTS", 1, noon + 6, **b, alertname="MinefleetMinerOffline", alertstate="firing"),
        even("ALERTS", 1, 60, 90, **a, alertname="MinefleetMinerFanLost", alertstate="firing", fan="1"),
        even("ALERTS", 1, midnight + 5, **a, alertname="MinefleetPoolDown", alertstate="firing"),
        even("ALERTS", 1, 60, 90, **a, alertname="MinefleetMinerHashrateLow", alertstate="pending"),
        even(work("mining_pool_credited_hashes_per_second"), 9.5e9, **pool, worker="a"),
        even(work("vnish_owner_hashrate_hashes_per_second"), 1e10, **pool, worker="a"),
        even(work("vnish_shares_accepted"), 10_000, **pool, worker="a"),
    ]


@pytest.fixture(scope="module")
def victoria_metrics() -> Iterator[str]:
    with Store() as store:
        store.write(a_day(), GRID)
        store.flush()
        yield store.url


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text("storage: {tsdb: {out_of_order_time_window: 100d}}\n")
    address = f"127.0.0.1:{free_port()}"
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                find_program("prometheus"),
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--storage.tsdb.retention.time=100y",
                f"--web.listen-address={address}",
                "--web.enable-remote-write-receiver",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        with Store(f"http://{address}") as store:
            store.write(a_day(), GRID)
            yield store.url
    finally:
        process.terminate()
        process.wait()


def ask(url: str, *more: str) -> int:
    return main(["digest", f"--prometheus.url={url}", "--timezone=UTC", "--day=2025-11-25", *more])


EXPECTED = """\
Mining on Tue 25 Nov: profit $11.00

Earned $20.00: 120 DOGE, 0.25 LTC, by the pools' count; nobody told the price of DOGE. The hashes were worth $25.00.
Electricity $9.00, profit $11.00.
2 miners, mining 75.0% of the time.
Lost $5.00, most by b $5.00 (offline $5.00).
Needs a person with a screwdriver: b (offline).
Alerts: 1 MinerFanLost, 1 MinerOffline.
main credited 95.00% of the fleet's work (± 2.00% is luck).
"""


@pytest.mark.parametrize("database", ["prometheus", "victoria_metrics"])
def test_a_day_in_a_few_lines(
    database: str, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(request.getfixturevalue(database)) == 0
    assert capsys.readouterr().out == EXPECTED


def test_what_nobody_knows_is_said_and_is_no_zero(
    prometheus: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["digest", f"--prometheus.url={prometheus}", "--timezone=UTC", "--day=2025-10-01"]) == 0
    out = capsys.readouterr().out
    assert "profit unknown" in out
    assert "$" not in out
    assert "Earned: unknown, no pool told." in out
    assert "Availability: unknown, no miner was seen." in out
    assert "screwdriver: unknown." in out
    assert "Alerts: unknown" in out
    assert ask(prometheus, "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert data["earned_coins"] == {"LTC": 0.25, "DOGE": 120}
    assert data["unpriced_coins"] == ["DOGE"]


def test_an_hour_of_a_day_is_said_to_be_an_hour(
    victoria_metrics: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # The day after has one hour of series.
    assert main(["digest", f"--prometheus.url={victoria_metrics}", "--timezone=UTC", "--day=2025-11-26"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"watched for only 4\.\d% of the day", out)


class Hook(BaseHTTPRequestHandler):
    """Slack's side of an incoming webhook."""

    posts: list[dict[str, Any]] = []  # noqa: RUF012
    status = 200

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        Hook.posts.append(json.loads(self.rfile.read(length)))
        self.send_response(Hook.status)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: object) -> None:
        pass


class Mailbox:
    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(envelope.content)
        return "250 OK"


@pytest.fixture
def sinks(tmp_path: Path) -> Iterator[tuple[Path, Mailbox]]:
    """The shipped Alertmanager file, with its addresses here."""
    Hook.posts, Hook.status = [], 200
    web = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=web.serve_forever)
    thread.start()
    mailbox = Mailbox()
    smtp = Controller(mailbox, hostname="127.0.0.1", port=free_port())
    smtp.start()
    config = yaml.safe_load((ROOT / "alertmanager/alertmanager.yml").read_text())
    (tmp_path / "hook").write_text(f"http://127.0.0.1:{web.server_port}/services/SECRET\n")
    config["global"] = {
        "slack_api_url_file": "hook",
        "smtp_smarthost": f"127.0.0.1:{smtp.port}",
        "smtp_from": "minefleet@example.org",
        "smtp_require_tls": False,
    }
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(config))
    yield file, mailbox
    smtp.stop()
    web.shutdown()
    thread.join()
    web.server_close()


def test_it_is_sent_where_alertmanager_sends(
    prometheus: str, sinks: tuple[Path, Mailbox], capsys: pytest.CaptureFixture[str]
) -> None:
    file, mailbox = sinks
    assert ask(prometheus, "--send=slack,email", f"--alertmanager.file={file}") == 0
    [post] = Hook.posts
    assert post["channel"] == "#mining"
    assert "Needs a person with a screwdriver: b (offline)." in post["text"]
    [mail] = mailbox.mails
    assert b"Subject: Mining on Tue 25 Nov: profit $11.0" in mail
    assert b"To: owner@example.org" in mail
    Hook.status = 403
    assert ask(prometheus, "--send=slack", f"--alertmanager.file={file}") == 1
    err = capsys.readouterr().err
    assert "slack: refused with status 403" in err
    assert "SECRET" not in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--send=pager"], "--send: expected slack or email, found pager"),
        (["--send=slack", "--alertmanager.file=/nowhere.yml"], "/nowhere.yml: expected Alertmanager's file"),
        (["--day=soon"], "--day: expected YYYY-MM-DD"),
        (["--day=2999-01-01"], "--day: expected a day that is over"),
        (["--at=seven"], "--at: expected HH:MM"),
        (["--at=07:00", "--day=2025-11-25"], "--at: expected without --day"),
        (["--timezone=Mars/Base"], "--timezone: expected a zone"),
        (["--prometheus.url=localhost:9090"], "--prometheus.url: expected an http:// or https:// URL"),
    ],
)
def test_a_bad_argument_is_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["digest", *arguments]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert words in line


def test_every_morning_is_the_same_time_on_the_wall() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    before = datetime(2026, 3, 28, 6, 59, tzinfo=berlin)
    assert following(before, time(7)) == datetime(2026, 3, 28, 7, tzinfo=berlin)
    after = datetime(2026, 3, 28, 7, 0, tzinfo=berlin)
    # The clocks change in the night between.
    assert following(after, time(7)) == datetime(2026, 3, 29, 7, tzinfo=berlin)
    assert following(after, time(7)).timestamp() - after.timestamp() == 23 * 3600


def test_who_does_not_answer_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    assert main(["digest", f"--prometheus.url={url}"]) == 1
    assert "does not answer" in capsys.readouterr().err


def test_it_asks_for_series_that_exist() -> None:
    asked: list[str] = []

    class Listener(figures.Prometheus):
        def __init__(self) -> None:
            pass

        async def ask(self, query: str, at: float, *labels: str) -> dict[tuple[str, ...], float]:
            asked.append(query)
            return {("x",) * len(labels): 1.0}

    import asyncio

    asyncio.run(figures.read(Listener(), figures.Day(figures.date(2025, 11, 25), 0.0, 86_400.0), 1e6))
    names = set().union(*map(names_in, asked))
    assert len(names) > 8
    assert names <= known_names()
    choices = re.fullmatch(r"MinefleetMiner\((.*)\)", figures.HANDS)
    assert choices
    for choice in choices[1].split("|"):
        assert any(re.fullmatch(f"MinefleetMiner{choice}", alert) for alert in ALERTS), choice
