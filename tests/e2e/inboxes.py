"""Where the real Alertmanager's messages arrive: an address shaped like Slack's, and a mail server."""

from __future__ import annotations

import contextlib
import email
import email.policy
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web
from aiosmtpd.controller import Controller

from exporter.simulator.stack import free_port


class Slack:
    """Keeps the messages Alertmanager posts, one attachment each; as long as *refuses*, it takes none."""

    def __init__(self) -> None:
        self.attachments: list[dict[str, Any]] = []
        self.refuses = False
        self.url = ""

    @property
    def titles(self) -> list[str]:
        """The messages in short."""
        return [one["title"] for one in self.attachments]

    async def _receive(self, request: web.Request) -> web.Response:
        if self.refuses:
            # What Slack says to an address whose secret is wrong.
            return web.Response(status=403, text="invalid_token")
        self.attachments += (await request.json())["attachments"]
        return web.Response(text="ok")

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls) -> AsyncIterator[Slack]:
        """Listen on loopback."""
        slack = cls()
        app = web.Application()
        app.router.add_post("/slack", slack._receive)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        slack.url = f"http://127.0.0.1:{runner.addresses[0][1]}/slack"
        try:
            yield slack
        finally:
            await runner.cleanup()


class Mailbox:
    """Keeps the mails Alertmanager sends."""

    def __init__(self) -> None:
        self.messages: list[email.message.EmailMessage] = []
        self.address = ""

    @property
    def subjects(self) -> list[str]:
        """The mails in short."""
        return [str(one["Subject"]) for one in self.messages]

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.messages.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls) -> AsyncIterator[Mailbox]:
        """Listen on loopback."""
        mailbox = cls()
        smtp = Controller(mailbox, hostname="127.0.0.1", port=free_port())
        smtp.start()
        mailbox.address = f"127.0.0.1:{smtp.port}"
        try:
            yield mailbox
        finally:
            smtp.stop()
