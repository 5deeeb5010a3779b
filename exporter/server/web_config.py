"""``server.web_config_file``: TLS and passwords, two parts of the format of Prometheus' own components.

tls_server_config: {cert_file: server.crt, key_file: server.key}
basic_auth_users: {prometheus: $2b$12$...}    # bcrypt
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
import ssl
from collections.abc import Mapping
from pathlib import Path

import bcrypt
from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from exporter.config.load import ConfigError
from exporter.config.yaml import parse

_BCRYPT = re.compile(r"\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}", re.ASCII)


class _Tls(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    cert_file: str
    key_file: str


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    tls_server_config: _Tls | None = None
    basic_auth_users: dict[str, str] = {}


class WebConfig:
    """TLS context and users of the server."""

    def __init__(self, tls: ssl.SSLContext | None = None, users: Mapping[str, str] | None = None) -> None:
        self.tls = tls
        self.users = dict(users or {})
        # A bcrypt check takes some 70 ms, every scrape brings one: remember what was checked.
        self._checked: dict[bytes, bool] = {}

    async def admits(self, header: str | None) -> bool:
        """Whether an ``Authorization`` header names a user and his password."""
        if not self.users:
            return True
        login, password = _credentials(header or "")
        stored = self.users.get(login)
        # An unknown user takes as long as a known one.
        hashed = stored or "$2b$10$abcdefghijklmnopqrstuu5LoA6RZsbLcTKmXb7GqWl3wVYyBYQ7a"
        key = hmac.digest(hashed.encode(), f"{login}\0{password}".encode(), hashlib.sha256)
        if key not in self._checked:
            if len(self._checked) >= 1000:
                self._checked.clear()
            self._checked[key] = await asyncio.to_thread(_check, password, hashed)
        return self._checked[key] and stored is not None


def _credentials(header: str) -> tuple[str, str]:
    """User and password of a Basic header; empty if it is none."""
    scheme, _, encoded = header.partition(" ")
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except ValueError:
        return "", ""
    login, separator, password = decoded.partition(":")
    return (login, password) if scheme.lower() == "basic" and separator else ("", "")


def _check(password: str, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(password.encode()[:72], hashed.encode())
    except ValueError:
        return False


def load_web_config(path: Path | None) -> WebConfig:
    """Read the file.

    Raises:
        ConfigError: it cannot be used; the lines do not show its contents.
    """
    if path is None:
        return WebConfig()
    try:
        document = parse(path.read_text("utf-8"), {})
        if document.faults:
            raise ConfigError([f"{path}: {document.faults[0][2]}"])
        parsed = _File.model_validate(document.data or {})
        context = None
        if parsed.tls_server_config:
            tls = parsed.tls_server_config
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(path.parent / tls.cert_file, path.parent / tls.key_file)
        for user, hashed in parsed.basic_auth_users.items():
            if not _BCRYPT.fullmatch(hashed):
                raise ConfigError(
                    [f"{path}: basic_auth_users.{user}: expected a bcrypt hash, such as $2b$10$..."]
                )
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: expected text in UTF-8, found other bytes"]) from None
    except OSError as error:
        raise ConfigError(
            [f"{path}: expected readable files, found {error.strerror or 'no certificate'}"]
        ) from None
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise ConfigError([f"{path}: {where}: expected tls_server_config or basic_auth_users"]) from None
    return WebConfig(context, parsed.basic_auth_users)


@web.middleware
async def require_user(request: web.Request, handler: web.Handler) -> web.StreamResponse:  # type: ignore[name-defined]
    """Refuse requests without a user's password, if users are configured; health stays open."""
    if request.path not in ("/-/healthy", "/-/ready"):
        config = request.app[WEB_CONFIG]
        if not await config.admits(request.headers.get("Authorization")):
            return web.Response(
                status=401,
                text="401: a user and password are needed\n",
                headers={"WWW-Authenticate": 'Basic realm="minefleet-exporter"'},
            )
    response: web.StreamResponse = await handler(request)
    return response


WEB_CONFIG = web.AppKey("web_config", WebConfig)
