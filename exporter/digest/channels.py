"""Where a digest is sent: the Slack channel and the mailboxes that Alertmanager's own file names.

One file says where messages go, https://prometheus.io/docs/alerting/latest/configuration/, and its secrets
stay where they are.
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from exporter.config.load import ConfigError

_SECONDS = 20.0
_SLACK_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


class SendError(Exception):
    """A message was not taken; the text says why, without a secret."""


@dataclass(frozen=True, slots=True)
class Slack:
    """An incoming webhook; its URL is a secret."""

    url: str
    channel: str | None

    async def send(self, subject: str, text: str) -> None:
        """Post the message.

        Raises:
            SendError: Slack did not take it.
        """
        body: dict[str, str] = {"text": f"*{subject}*\n{text}".translate(_SLACK_ESCAPES)}
        if self.channel:
            body["channel"] = self.channel
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(self.url, json=body, allow_redirects=False) as answer,
            ):
                said = (await answer.text())[:100]
                if answer.status != 200:
                    raise SendError(f"refused with status {answer.status}: {said}")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            # The text of the error may hold the URL.
            raise SendError(f"does not answer ({type(error).__name__})") from None


@dataclass(frozen=True, slots=True)
class Email:
    """A mail server and who gets mail from it."""

    host: str
    port: int
    sender: str
    to: tuple[str, ...]
    username: str | None
    password: str | None
    tls: bool

    def send(self, subject: str, text: str) -> None:
        """Send the message.

        Raises:
            SendError: the server did not take it.
        """
        message = EmailMessage()
        message["Subject"], message["From"], message["To"] = subject, self.sender, ", ".join(self.to)
        message.set_content(text)
        try:
            with self._open() as server:
                if self.username and self.password:
                    server.login(self.username, self.password)
                server.send_message(message)
        except smtplib.SMTPResponseException as error:
            raise SendError(f"refused with code {error.smtp_code}") from None
        except (smtplib.SMTPException, OSError, ValueError) as error:
            raise SendError(f"failed ({type(error).__name__})") from None

    def _open(self) -> smtplib.SMTP:
        if self.port == 465:
            return smtplib.SMTP_SSL(
                self.host, self.port, timeout=_SECONDS, context=ssl.create_default_context()
            )
        server = smtplib.SMTP(self.host, self.port, timeout=_SECONDS)
        if self.tls:
            server.starttls(context=ssl.create_default_context())
        return server


def slack(file: Path) -> Slack:
    """The first Slack channel of an Alertmanager file.

    Raises:
        ConfigError: it has none, or the URL cannot be read.
    """
    config = _read(file)
    shared = config.get("global") or {}
    for one in _of_receivers(config, "slack_configs"):
        url = _secret(
            file, {**shared, **{f"slack_{key}": value for key, value in one.items()}}, "slack_api_url"
        )
        if not url or not url.startswith(("http://", "https://")):
            raise ConfigError(
                [f"{file}: global.slack_api_url_file: expected an http:// or https:// URL in it"]
            )
        return Slack(url, one.get("channel"))
    raise ConfigError([f"{file}: receivers: expected one with slack_configs, found none"])


def email(file: Path) -> Email:
    """The mail server and all the mailboxes of an Alertmanager file.

    Raises:
        ConfigError: it has none, or the password cannot be read.
    """
    config = _read(file)
    shared = config.get("global") or {}
    to = tuple(
        dict.fromkeys(str(one["to"]) for one in _of_receivers(config, "email_configs") if one.get("to"))
    )
    if not to:
        raise ConfigError([f"{file}: receivers: expected one with email_configs, found none"])
    host, _, port = str(shared.get("smtp_smarthost", "")).rpartition(":")
    if not host or not port.isdigit() or not shared.get("smtp_from"):
        raise ConfigError([f"{file}: global: expected smtp_smarthost as host:port, and smtp_from"])
    return Email(
        host.strip("[]"),
        int(port),
        str(shared["smtp_from"]),
        to,
        shared.get("smtp_auth_username"),
        _secret(file, shared, "smtp_auth_password"),
        bool(shared.get("smtp_require_tls", True)),
    )


def _read(file: Path) -> Mapping[str, Any]:
    try:
        config = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError([f"{file}: expected Alertmanager's file ({type(error).__name__})"]) from None
    if not isinstance(config, dict) or not isinstance(config.get("receivers"), list):
        raise ConfigError([f"{file}: expected Alertmanager's file, with receivers"])
    return config


def _of_receivers(config: Mapping[str, Any], kind: str) -> Iterator[Mapping[str, Any]]:
    for receiver in config["receivers"]:
        yield from receiver.get(kind) or []


def _secret(file: Path, settings: Mapping[str, Any], key: str) -> str | None:
    """A secret that is written there, or in a file of its own; as Alertmanager, from beside its own file."""
    if settings.get(key):
        return str(settings[key])
    named = settings.get(f"{key}_file")
    if not named:
        return None
    path = file.parent / str(named)
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise ConfigError([f"{file}: {key}_file: cannot read {path}: {reason}"]) from None
