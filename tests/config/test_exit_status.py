"""Bad files as a user meets them: real processes, exit status 2, lines on stderr, never a traceback."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

BAD = {
    "misspelt": "fleet: {miner_ips: [127.77.9.1]}\nbreaker: {vnish: {failure_treshold: 3}}",
    "tag": "fleet: !!bool x",
    "own tag": "prohashing: {api_key: !hunter2 x}",
    "alias": "prohashing: {api_key: *hunter2}",
    "lost colon": "prohashing: {api_key:hunter2}",
    "joined": "prohashing: {sync_interval_seconds: 60hunter2}",
    "nested": "[" * 100_000,
    "itself": "fleet: &a {<<: *a}",
    "escape": 'fleet: {miner_ips: ["\\UFFFFFFFF"]}',
    "version": "%YAML " + "1" * 5000 + ".1\n---\nfleet: {}",
    "no text": "fleet: \x07",
    "no file name": 'fleet: {miner_ips: [127.77.9.1]}\nlogging: {file: "\\0"}',
    "cents": "fleet: {miner_ips: [127.77.9.1]}\neconomics: {electricity_usd_per_kwh: 8}",
}


async def start(command: str, path: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "exporter", command, f"--config.file={path}", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin"},
    )


@pytest.mark.parametrize("command", ["check", "serve"])
async def test_a_bad_file_ends_with_status_2(tmp_path: Path, command: str) -> None:
    # As few at once as the machine of a continuous integration has processors.
    limit = asyncio.Semaphore(2)

    async def run(name: str, text: str) -> None:
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        async with limit:
            process = await start(command, path)
            out = (await process.communicate())[0].decode()
        assert process.returncode == 2, (name, out)
        lines = out.splitlines()
        assert lines
        assert all(line.startswith(f"{path}:") for line in lines), (name, out)
        assert "hunter2" not in out

    await asyncio.gather(*(run(name, text) for name, text in BAD.items()))


async def until(process: asyncio.subprocess.Process, text: str) -> str:
    """The line of the log that holds *text*."""
    assert process.stdout
    # Far longer than it takes anywhere: what never comes is a failure, and no hanging test.
    async with asyncio.timeout(120):
        while line := (await process.stdout.readline()).decode():
            assert "Traceback" not in line
            if text in line:
                return line
    raise AssertionError(f"the process ended without {text!r}")


async def test_a_signal_does_not_take_over_a_file_cut_short_and_a_restart_does(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    whole = "fleet:\n  miner_ips:\n" + "".join(f"    - 127.77.9.{n}\n" for n in range(1, 10))
    # Four miners, and nothing that is no YAML.
    cut = "".join(whole.splitlines(keepends=True)[:6])
    path.write_text(whole)
    process = await start("serve", path, "--web.listen-address=127.0.0.1:0")
    try:
        assert '"miners": 9' in await until(process, "listening")
        path.write_text(cut)
        process.send_signal(signal.SIGHUP)
        assert "expected at least half of the 9 miners there are" in await until(process, "not taken over")
        path.write_text(whole + "    - 127.77.9.200\n")
        process.send_signal(signal.SIGHUP)
        assert '"miners": 10' in await until(process, "configuration taken over")
    finally:
        process.terminate()
        await process.wait()
    path.write_text(cut)
    process = await start("serve", path, "--web.listen-address=127.0.0.1:0")
    try:
        assert '"miners": 4' in await until(process, "listening")
    finally:
        process.terminate()
        await process.wait()
