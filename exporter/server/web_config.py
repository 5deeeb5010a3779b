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
import secrets
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import bcrypt
from aiohttp import web
from pydantic import BaseModel, ConfigDict, ValidationError

from exporter.config.load import ConfigError
from exporter.config.yaml import parse
from exporter.server.signature import is_signed

MAX_CHECKS = 32
_THREADS = 2
_MAX_REFUSED = 1000

_BCRYPT = re.compile(r"\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}", re.ASCII)


class _Tls(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    cert_file: str
    key_file: str


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    tls_server_config: _Tls | None = None
    basic_auth_users: dict[str, str] = {}


class BusyError(Exception):
    """More passwords are waiting to be checked than is good for a small machine."""


class WebConfig:
    """TLS context and users of the server.

    A check of a password takes some 70 ms and every scrape brings one, so results are remembered: the right
    password of each user for good, wrong ones as long as there is room.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, users: Mapping[str, str] | None = None) -> None:
        self.tls = tls
        self.users = dict(users or {})
        self._key = secrets.token_bytes(32)
        self._admitted: dict[str, bytes] = {}
        self._refused: dict[bytes, None] = {}
        self._checking: dict[bytes, asyncio.Future[bool]] = {}
        # Its own threads: what strangers can keep busy must not be what looks up names.
        self._threads = ThreadPoolExecutor(_THREADS, "password")

    async def admits(self, header: str | None) -> bool:
        """Whether an ``Authorization`` header names a user and his password.

        Raises:
            BusyError: it would have to be checked, and too many others are being checked.
        """
        if not self.users:
            return True
        credentials = _credentials(header or "")
        if credentials is None:
            return False
        login, password = credentials
        known = self._digest(str(len(login)), login, password)
        if hmac.compare_digest(self._admitted.get(login, b""), known):
            return True
        if known in self._refused:
            return False
        # The same password of many scrapes at once is one check.
        checking = self._checking.get(known)
        if checking is None:
            if len(self._checking) >= MAX_CHECKS:
                raise BusyError
            loop = asyncio.get_running_loop()
            checking = loop.run_in_executor(self._threads, _check, password, self._hash_for(login))
            self._checking[known] = checking
            checking.add_done_callback(partial(self._checked, login, known))
        # Others may be waiting for it when this client goes away.
        return await asyncio.shield(checking) and login in self.users

    def close(self) -> None:
        """Start no more checks."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _checked(self, login: str, known: bytes, checking: asyncio.Future[bool]) -> None:
        del self._checking[known]
        if checking.cancelled() or checking.exception():
            return
        if checking.result() and login in self.users:
            self._admitted[login] = known
            return
        if len(self._refused) >= _MAX_REFUSED:
            del self._refused[next(iter(self._refused))]
        self._refused[known] = None

    def _hash_for(self, login: str) -> str:
        """The hash to check against: an unknown user gets some user's, always the same one."""
        stored = self.users.get(login)
        if stored is None:
            among = sorted(self.users.values())
            stored = among[int.from_bytes(self._digest(login)) % len(among)]
        return stored

    def _digest(self, *parts: str) -> bytes:
        return hmac.digest(self._key, "\0".join(parts).encode(), hashlib.sha256)


def _credentials(header: str) -> tuple[str, str] | None:
    """User and password of a Basic header; ``None`` if it is none."""
    scheme, _, encoded = header.partition(" ")
    try:
        decoded = base64.b64decode(encoded, validate=True).decode()
    except ValueError:
        return None
    login, separator, password = decoded.partition(":")
    return (login, password) if scheme.lower() == "basic" and separator else None


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
    """Refuse requests without a user's password, if users are configured.

    Health stays open, and a signed request is left to its handler.
    """
    if request.path not in ("/-/healthy", "/-/ready") and not is_signed(request):
        try:
            admitted = await request.app[WEB_CONFIG].admits(request.headers.get("Authorization"))
        except BusyError:
            raise web.HTTPServiceUnavailable(
                text="503: too many passwords are being checked\n", headers={"Retry-After": "5"}
            ) from None
        if not admitted:
            raise web.HTTPUnauthorized(
                text="401: a user and password are needed\n",
                headers={"WWW-Authenticate": 'Basic realm="minefleet-exporter"'},
            )
    response: web.StreamResponse = await handler(request)
    return response


WEB_CONFIG = web.AppKey("web_config", WebConfig)
