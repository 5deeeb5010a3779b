"""``test-alert`` with the real Alertmanager, its shipped routes, and sinks for Slack and mail."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from exporter.cli import main
from exporter.cli.test_alert import held_back
from exporter.simulator.stack import find_program, free_port
from tests.conftest import ROOT

PATIENCE_SECONDS = 60


class Sinks:
    """Where the messages end, each of which may refuse its secret."""

    def __init__(self) -> None:
        self.slack_status = 200
        self.mail_password = b"right"
        self.slack: list[dict[str, Any]] = []
        self.mails: list[bytes] = []

    async def receive(self, request: web.Request) -> web.Response:
        if self.slack_status == 200:
            self.slack.append(await request.json())
        return web.Response(status=self.slack_status, text="ok" if self.slack_status == 200 else "no_service")

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.mails.append(envelope.content)
        return "250 OK"

    def authenticate(self, server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password == self.mail_password, handled=False)


class Alertmanager:
    """The real one, with its messages ending in *sinks*."""

    def __init__(self, url: str, sinks: Sinks) -> None:
        self.url = url
        self.sinks = sinks


@pytest.fixture
async def alertmanager(tmp_path: Path) -> AsyncIterator[Alertmanager]:
    sinks = Sinks()
    async with contextlib.AsyncExitStack() as opened:
        app = web.Application()
        app.router.add_post("/slack", sinks.receive)
        runner = web.AppRunner(app)
        await runner.setup()
        opened.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        smtp = Controller(
            sinks,
            hostname="127.0.0.1",
            port=free_port(),
            authenticator=sinks.authenticate,
            auth_require_tls=False,
            # It asks for the name in words Alertmanager does not know.
            auth_exclude_mechanism=["LOGIN"],
        )
        smtp.start()
        opened.callback(smtp.stop)
        config = yaml.safe_load((ROOT / "alertmanager/alertmanager.yml").read_text())
        config["templates"] = [str(ROOT / "alertmanager/templates/*.tmpl")]
        config["global"] = {
            "slack_api_url": f"http://127.0.0.1:{runner.addresses[0][1]}/slack",
            "smtp_smarthost": f"127.0.0.1:{smtp.port}",
            "smtp_from": "minefleet@example.org",
            "smtp_auth_username": "minefleet",
            "smtp_auth_password": "right",
            "smtp_require_tls": False,
        }
        config["route"] |= {"group_wait": "1s", "group_interval": "1s"}
        (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(config))
        address = f"127.0.0.1:{free_port()}"
        with (tmp_path / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                find_program("alertmanager"),
                f"--config.file={tmp_path / 'alertmanager.yml'}",
                f"--web.listen-address={address}",
                f"--storage.path={tmp_path / 'data'}",
                "--cluster.listen-address=",
                stdout=log,
                stderr=log,
            )

        async def end() -> None:
            process.terminate()
            await process.wait()

        opened.push_async_callback(end)
        async with asyncio.timeout(PATIENCE_SECONDS), aiohttp.ClientSession() as session:
            while True:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"http://{address}/-/ready") as answer:
                        if answer.status == 200:
                            break
                await asyncio.sleep(0.1)
        yield Alertmanager(f"http://{address}", sinks)


async def send(alertmanager: Alertmanager, *more: str) -> int:
    arguments = ["test-alert", f"--alertmanager.url={alertmanager.url}", "--timeout=60", *more]
    return await asyncio.to_thread(main, arguments)


async def test_every_channel_that_took_it_is_named(
    alertmanager: Alertmanager, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await send(alertmanager) == 0
    out = capsys.readouterr().out
    assert "slack (slack-and-email): accepted" in out
    assert "email (slack-and-email): accepted" in out
    [message] = alertmanager.sinks.slack
    assert "This is a test: nothing is wrong." in json.dumps(message)
    assert len(alertmanager.sinks.mails) == 1


async def test_a_severity_goes_where_its_route_says(
    alertmanager: Alertmanager, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await send(alertmanager, "--severity=warning", "--json") == 0
    channels = json.loads(capsys.readouterr().out)["channels"]
    assert [(one["channel"], one["accepted"]) for one in channels] == [("slack", True)]
    assert alertmanager.sinks.mails == []


async def test_a_wrong_secret_is_noticed_and_the_other_channel_is_not_blamed(
    alertmanager: Alertmanager, capsys: pytest.CaptureFixture[str]
) -> None:
    alertmanager.sinks.slack_status = 404
    assert await send(alertmanager) == 1
    out = capsys.readouterr().out
    assert "slack (slack-and-email): refused" in out
    assert "email (slack-and-email): accepted" in out


async def test_a_wrong_password_of_the_mail_server_is_noticed(
    alertmanager: Alertmanager, capsys: pytest.CaptureFixture[str]
) -> None:
    alertmanager.sinks.mail_password = b"changed"
    assert await send(alertmanager, "--timeout=8") == 1
    out = capsys.readouterr().out
    assert "email (slack-and-email): refused" in out
    assert "slack (slack-and-email): accepted" in out


async def test_a_silence_is_named(alertmanager: Alertmanager, capsys: pytest.CaptureFixture[str]) -> None:
    silence = {
        "matchers": [{"name": "alertname", "value": "Minefleet.*", "isRegex": True}],
        "startsAt": "2020-01-01T00:00:00Z",
        "endsAt": "2100-01-01T00:00:00Z",
        "createdBy": "test",
        "comment": "test",
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{alertmanager.url}/api/v2/silences", json=silence) as answer,
    ):
        assert answer.status == 200
    assert await send(alertmanager, "--timeout=3") == 1
    out = capsys.readouterr().out
    assert "a silence covers it" in out
    assert "slack (slack-and-email): nothing was sent" in out


def test_who_is_no_alertmanager_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test-alert", f"--alertmanager.url=http://127.0.0.1:{free_port()}"]) == 1
    assert "does not answer" in capsys.readouterr().out
    assert main(["test-alert", "--alertmanager.url=127.0.0.1:9093"]) == 2
    assert main(["test-alert", "--label=team"]) == 2


def test_how_long_a_route_holds_back() -> None:
    assert held_back({"group_wait": "45s", "routes": [{"group_wait": "1m30s"}, {}]}) == 90
    assert held_back({}) == 30
