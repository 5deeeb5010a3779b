"""deploy/front: the real nginx with its file, before services that only say who they are."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import ssl
import subprocess
from pathlib import Path

import aiohttp
import pytest
import yaml
from aiohttp import web

from exporter.simulator.stack import free_port
from tests.conftest import ROOT, make_certificate

FOLDER = ROOT / "deploy/front"
OWNER = aiohttp.encode_basic_auth("owner", "right")


def test_what_the_front_mounts_is_what_its_file_reads() -> None:
    front = yaml.safe_load((FOLDER / "compose.yml").read_text())
    text = (FOLDER / "nginx.conf").read_text()
    read = set(re.findall(r"/run/secrets/(\w+)", text))
    assert read == set(front["services"]["front"]["secrets"]) == set(front["secrets"])
    listened = re.findall(r"listen (\d+) ssl;", text)
    assert front["services"]["front"]["ports"] == [f"{port}:{port}" for port in listened]
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert set(re.findall(r"set \$to http://([a-z]+):", text)) <= set(services)


async def test_nobody_comes_in_without_the_password(tmp_path: Path) -> None:
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        pytest.skip("nginx is missing")
    certificate = make_certificate(tmp_path / "cert.pem")
    hashed = subprocess.run(
        ["openssl", "passwd", "-6", "right"], capture_output=True, text=True, check=True
    ).stdout.strip()
    (tmp_path / "users").write_text(f"owner:{hashed}\n")
    seen: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.Response(text="inside")

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    text = (FOLDER / "nginx.conf").read_text().replace("/tmp/", f"{tmp_path}/")
    ports = {}
    for port in re.findall(r"listen (\d+) ssl;", text):
        ports[port] = free_port()
        text = text.replace(f"listen {port} ssl;", f"listen 127.0.0.1:{ports[port]} ssl;")
    text = re.sub(r"http://[a-z]+:\d+;", f"http://127.0.0.1:{runner.addresses[0][1]};", text)
    text = text.replace("/run/secrets/front_certificate", str(certificate))
    text = text.replace("/run/secrets/front_key", str(certificate.with_name("key.pem")))
    text = text.replace("/run/secrets/front_users", str(tmp_path / "users"))
    if os.geteuid() == 0:
        # Else its worker is another user, who may not read what pytest makes.
        text = f"user root;\n{text}"
    (tmp_path / "nginx.conf").write_text(text)
    process = await asyncio.create_subprocess_exec(
        *(nginx, "-e", "stderr", "-c", str(tmp_path / "nginx.conf"), "-g", "daemon off;"),
        stderr=asyncio.subprocess.PIPE,
    )
    trust = ssl.create_default_context(cafile=certificate)
    try:
        async with asyncio.timeout(60), aiohttp.ClientSession() as session:

            async def status(port: str, authorization: str = "") -> int:
                headers = {"Authorization": authorization} if authorization else {}
                while True:
                    try:
                        url = f"https://127.0.0.1:{ports[port]}/"
                        async with session.get(url, ssl=trust, headers=headers) as response:
                            return response.status
                    except aiohttp.ClientConnectorError:
                        assert process.returncode is None
                        await asyncio.sleep(0.05)

            for port in ("9443", "9444", "10443"):
                assert await status(port) == 401
                assert await status(port, aiohttp.encode_basic_auth("owner", "wrong")) == 401
                assert seen == []
                assert await status(port, OWNER) == 200
                assert seen == [None], "the password ends at the front"
                seen.clear()
            assert await status("3443", OWNER) == 200
            assert seen[0], "Grafana asks itself"
    finally:
        if process.returncode is None:
            process.terminate()
        _, said = await process.communicate()
        # It says who was refused, and no password.
        assert b"password mismatch" in said
        assert b"wrong" not in said
        await runner.cleanup()
