"""Who may reload: this machine, a user, or who can sign; never a page in somebody's browser."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from pathlib import Path
from typing import Any

import bcrypt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.server.signature import MAX_REMEMBERED, WINDOW_SECONDS, RefusedError, Signatures
from exporter.server.web_config import WebConfig
from tests.conftest import L9, ROOT, FakeClock, Site, serve_site

NOW = 1_790_000_000
SECRET = "f00dfeed" * 8


def sign(timestamp: str, body: bytes = b"", secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), timestamp.encode() + b":" + body, hashlib.sha256).hexdigest()


def signed(config: dict[str, Any]) -> None:
    config["server"] = {"hmac_secret": SECRET}


async def post(
    site: Site, headers: dict[str, str] | None = None, body: bytes = b"", query: str = ""
) -> tuple[int, str]:
    async with site.client.post(f"/-/reload{query}", headers=headers, data=body) as response:
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        return response.status, await response.text()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost:10777"}, 200),
        ({"Host": "127.0.0.9"}, 200),
        ({"Host": "[::1]:10777"}, 200),
        (
            {"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1:10777", "Host": "127.0.0.1:10777"},
            200,
        ),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "http://127.0.0.1:10777", "Host": "127.0.0.1:10777"}, 200),
        ({"Origin": "HTTP://LOCALHOST", "Host": "localhost:80"}, 200),
        # Pages of others.
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "same-site", "Origin": "http://localhost:3000", "Host": "localhost:10777"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "surprise"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "http://127.0.0.1:3000", "Host": "127.0.0.1:10777"}, 403),
        ({"Origin": "http://127.0.0.1:bad", "Host": "127.0.0.1"}, 403),
        # A name that an attacker's name server leads here: to the browser it is the same origin.
        (
            {
                "Host": "evil.example:10777",
                "Origin": "http://evil.example:10777",
                "Sec-Fetch-Site": "same-origin",
            },
            403,
        ),
        ({"Host": "evil.example:10777"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "127.0.0.1@evil.example"}, 403),
        ({"Host": "203.0.113.7:10777"}, 403),
        # A proxy on this machine asks for somebody else.
        ({"X-Forwarded-For": "203.0.113.7"}, 403),
        ({"Forwarded": "for=203.0.113.7"}, 403),
    ],
)
async def test_without_users_only_this_machine_reloads_and_no_page_does(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    async with serve_site(tmp_path, [L9]) as site:
        before = site.runtime.fleet
        answered, _ = await post(site, {"Host": "127.0.0.1", **headers})
        assert answered == status
        assert (site.runtime.fleet is not before) == (status == 200)


async def test_with_users_a_page_of_others_cannot_use_the_browsers_password(tmp_path: Path) -> None:
    users = {"ali": bcrypt.hashpw(b"sesame", bcrypt.gensalt(4)).decode()}
    login = {"Authorization": "Basic YWxpOnNlc2FtZQ==", "Host": "exporter.example"}
    async with serve_site(tmp_path, [L9], web_config=WebConfig(users=users)) as site:
        assert (await post(site, login))[0] == 200
        assert (await post(site, {**login, "Origin": "https://exporter.example"}))[0] == 200
        assert (await post(site, {**login, "Sec-Fetch-Site": "cross-site"}))[0] == 403
        assert (await post(site, {**login, "Origin": "https://evil.example"}))[0] == 403


async def test_a_signature_stands_in_for_a_password(tmp_path: Path) -> None:
    users = {"ali": bcrypt.hashpw(b"sesame", bcrypt.gensalt(4)).decode()}
    async with serve_site(
        tmp_path, [L9], edit=signed, web_config=WebConfig(users=users), wall_clock=lambda: NOW
    ) as site:
        stamp = str(NOW)
        headers = {"X-Timestamp": stamp, "X-Signature": sign(stamp), "Host": "exporter.example"}
        assert await post(site, headers) == (200, "Reloaded\n")
        status, text = await post(site, headers)
        assert status == 403
        assert "used" in text
        # The body counts, the query is not signed.
        stamp = str(NOW + 1)
        headers = {"X-Timestamp": stamp, "X-Signature": sign(stamp, b'{"why": "new miners"}')}
        assert (await post(site, headers, b'{"why": "no miners"}'))[0] == 403
        assert (await post(site, headers, b'{"why": "new miners"}', "?force=0"))[0] == 200
        # Both ways are open, and a wrong signature is not mended by a right password.
        login = {"Authorization": "Basic YWxpOnNlc2FtZQ=="}
        assert (await post(site, login))[0] == 200
        assert (await post(site, {**login, "X-Timestamp": stamp, "X-Signature": "0" * 64}))[0] == 403
        assert (await post(site))[0] == 401
        # It opens nothing else.
        stamp = str(NOW + 2)
        signature = {"X-Timestamp": stamp, "X-Signature": sign(stamp)}
        for path in ("/config", "/-/reload"):
            await site.get(path, 401, **signature)


async def test_where_there_is_a_secret_this_machine_needs_a_signature_too(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9], edit=signed, wall_clock=lambda: NOW) as site:
        status, text = await post(site)
        assert status == 403
        assert "X-Signature" in text
        stamp = str(NOW)
        assert (await post(site, {"X-Timestamp": stamp, "X-Signature": sign(stamp)}))[0] == 200
        await site.get("/metrics")


async def test_without_a_secret_a_signature_is_nothing(tmp_path: Path) -> None:
    users = {"ali": bcrypt.hashpw(b"sesame", bcrypt.gensalt(4)).decode()}
    stamp = str(NOW)
    async with serve_site(tmp_path, [L9], web_config=WebConfig(users=users), wall_clock=lambda: NOW) as site:
        assert (await post(site, {"X-Timestamp": stamp, "X-Signature": sign(stamp, secret="")}))[0] == 401


async def test_a_body_that_is_too_large_or_broken_reloads_nothing(tmp_path: Path) -> None:
    async with serve_site(tmp_path, [L9], edit=signed, wall_clock=lambda: NOW) as site:
        stamp, body = str(NOW), b"x" * 70_000
        before = site.runtime.fleet
        assert (await post(site, {"X-Timestamp": stamp, "X-Signature": sign(stamp, body)}, body))[0] == 413
        headers = {"X-Timestamp": stamp, "X-Signature": sign(stamp), "Content-Encoding": "gzip"}
        assert (await post(site, headers, b"no gzip"))[0] == 400
        assert site.runtime.fleet is before


def test_signatures_within_the_window_count_once(clock: FakeClock) -> None:
    clock.now = NOW
    signatures = Signatures(SECRET, clock)
    for stamp in (NOW - WINDOW_SECONDS, NOW + WINDOW_SECONDS, NOW):
        signatures.check(str(stamp), sign(str(stamp)), b"")
        for again in (sign(str(stamp)), sign(str(stamp)).upper()):
            with pytest.raises(RefusedError, match="used"):
                signatures.check(str(stamp), again, b"")
    for stamp in (NOW - WINDOW_SECONDS - 1, NOW + WINDOW_SECONDS + 1):
        with pytest.raises(RefusedError, match="X-Timestamp"):
            signatures.check(str(stamp), sign(str(stamp)), b"")
    # The one from ahead of our clock is valid longest, and remembered as long.
    clock.advance(2 * WINDOW_SECONDS)
    with pytest.raises(RefusedError, match="used"):
        signatures.check(str(NOW + WINDOW_SECONDS), sign(str(NOW + WINDOW_SECONDS)), b"")
    clock.advance(1)
    with pytest.raises(RefusedError, match="X-Timestamp"):
        signatures.check(str(NOW + WINDOW_SECONDS), sign(str(NOW + WINDOW_SECONDS)), b"")


def test_the_memory_of_signatures_is_bounded_and_forgets_none_that_counts(clock: FakeClock) -> None:
    clock.now = NOW
    signatures = Signatures(SECRET, clock)
    bodies = [str(number).encode() for number in range(MAX_REMEMBERED)]
    for body in bodies:
        signatures.check(str(NOW), sign(str(NOW), body), body)
    with pytest.raises(RefusedError, match="too many"):
        signatures.check(str(NOW), sign(str(NOW), b"one more"), b"one more")
    with pytest.raises(RefusedError, match="used"):
        signatures.check(str(NOW), sign(str(NOW), bodies[0]), bodies[0])
    clock.advance(WINDOW_SECONDS + 1)
    later = str(NOW + WINDOW_SECONDS + 1)
    signatures.check(later, sign(later), b"")


@given(st.text(max_size=80), st.text(max_size=80), st.binary(max_size=20))
def test_what_was_not_signed_is_refused(timestamp: str, signature: str, body: bytes) -> None:
    with pytest.raises(RefusedError):
        Signatures(SECRET, lambda: NOW).check(timestamp, signature, body)


@given(st.binary(max_size=40), st.integers(-WINDOW_SECONDS, WINDOW_SECONDS))
def test_what_was_signed_is_accepted(body: bytes, off: int) -> None:
    stamp = str(NOW + off)
    Signatures(SECRET, lambda: NOW).check(stamp, sign(stamp, body), body)


@pytest.mark.parametrize(
    "stamp", ["", "soon", "+1790000000", "1790000000.0", "\uff11\uff17\uff19", "1" * 400, "1e9"]
)
def test_a_timestamp_is_whole_seconds(stamp: str) -> None:
    with pytest.raises(RefusedError, match="X-Timestamp"):
        Signatures(SECRET, lambda: NOW).check(stamp, sign(stamp), b"")


def documented_line() -> str:
    text = (ROOT / "docs/configuration.md").read_text()
    [block] = [one for one in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if "X-Signature" in one]
    assert isinstance(block, str)
    return block


async def test_the_documented_line_reloads(tmp_path: Path) -> None:
    """As written in docs/configuration.md, but for the port."""

    def secret_file(config: dict[str, Any]) -> None:
        config["server"] = {"hmac_secret_file": "reload.secret"}

    (tmp_path / "reload.secret").write_text(SECRET + "\n")
    async with serve_site(tmp_path, [L9], edit=secret_file) as site:
        line = documented_line()
        assert line.count("127.0.0.1:10777") == 1
        line = line.replace("127.0.0.1:10777", f"127.0.0.1:{site.client.port}")

        async def run() -> str:
            process = await asyncio.create_subprocess_exec(
                *("sh", "-euc", line),
                stdout=asyncio.subprocess.PIPE,
                cwd=tmp_path,
                env={"PATH": "/usr/bin:/bin"},
            )
            out, _ = await process.communicate()
            return out.decode()

        before = site.runtime.fleet
        assert "Reloaded\n" in await run()
        assert site.runtime.fleet is not before
        (tmp_path / "reload.secret").write_text("another\n")
        assert "403" in await run()
        assert SECRET not in await site.get("/config")
