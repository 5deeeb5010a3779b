"""The commands as a user types them, against simulated miners, with their exit statuses."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from rich.console import Console

from exporter.address import Endpoint
from exporter.cli import main, parse_arguments
from exporter.cli.discover import _dump, _table
from exporter.config.load import load
from exporter.scan import Found, configuration, mined_as, own_networks
from exporter.simulator.faults import MINER_FAULTS
from exporter.simulator.pools.prohashing import ProhashingHost
from exporter.simulator.simulation import MinerSpec, Simulation
from exporter.vnish.reading import Identity, MinerReading, Pool
from tests.conftest import ROOT

SPECS = [MinerSpec("l9", "l9", "1.2.7"), MinerSpec("l3", "l3+", "3.9.0"), MinerSpec("simple", "l7", "simple")]
STOCK = MinerSpec("stock", "l9", "stock")


@dataclass
class Done:
    status: int
    out: str
    err: str


@dataclass
class Shell:
    simulation: Simulation
    path: Path

    async def run(self, *arguments: str, **environ: str) -> Done:
        return await self.bare(*arguments, f"--config.file={self.path}", **environ)

    async def bare(self, *arguments: str, **environ: str) -> Done:
        """Without a configuration, in an empty folder."""
        folder = self.path.parent / "empty"
        folder.mkdir(exist_ok=True)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "exporter", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=folder,
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environ},
        )
        out, err = await process.communicate()
        assert "Traceback" not in err.decode()
        return Done(process.returncode or 0, out.decode(), err.decode())


@pytest.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    # One port for all, so that discover finds them.
    async with Simulation(SPECS, port=0) as first:
        port = first.miners["l9"].port
    async with Simulation(SPECS, port=port) as simulation:
        config = simulation.configuration(allowed_networks=["127.77.0.0/24"], timeout_seconds=2, retries=0)
        config["prohashing"]["account"] = "ali"
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(config))
        yield Shell(simulation, path)


async def test_check(shell: Shell) -> None:
    done = await shell.run("check")
    assert done.status == 0
    assert "good; miners: 3, pools: prohashing" in done.out
    shell.path.write_text("fleet: {miner_ips: [x y], timeout: 3}\n")
    done = await shell.run("check")
    assert done.status == 2
    assert done.out == ""
    assert len(done.err.splitlines()) == 2
    for command in (["serve"], ["probe", "l9"], ["discover", "127.77.0.0/24"], ["worker", "l9"]):
        assert (await shell.run(*command)).status == 2


async def test_probe(shell: Shell) -> None:
    done = await shell.run("probe", "l9")
    assert done.status == 0
    assert done.out.startswith("l9 is up")
    assert "GH/s" in done.out
    assert "\x1b[" not in done.out, "no colour but on a terminal"
    raw = await shell.run("probe", "l9", "--raw")
    assert "vnish_up 1.0" in raw.out
    data = json.loads((await shell.run("probe", "l3", "--json")).out)
    assert data["up"] is True
    await shell.simulation.inject("l9", "html")
    done = await shell.run("probe", "l9")
    assert done.status == 1
    assert "not_json" in done.out
    done = await shell.run("probe", "nobody")
    assert done.status == 2
    assert "configured are l9, l3, simple, prohashing" in done.err


async def test_probe_says_first_whether_it_hashes(shell: Shell) -> None:
    for name in ("l9", "l3"):
        lines = (await shell.run("probe", name)).out.splitlines()
        assert re.fullmatch(
            r"hashing, [\d.]+ [GM]H/s( of [\d.]+ [GM]H/s nominal)?(, \d+ °C)?(, [\d,]+ W)?", lines[1]
        )
        assert lines[2] == "", "nothing is wrong"
    host = shell.simulation.miners["l9"]
    await shell.simulation.inject("l9", "board_lost")
    host.miner.advance(10)
    done = await shell.run("probe", "l9")
    assert done.status == 0, "it answers"
    assert done.out.splitlines()[2].startswith("what is wrong: board 2 failure, ")
    told = json.loads((await shell.run("probe", "l9", "--json")).out)["verdict"]
    assert (told["condition"], told["hashes"]) == ("warn", True)
    assert told["faults"][0] == {"kind": "board_dead", "text": "board 2 failure"}
    await shell.simulation.inject("l9", "paused")
    host.miner.advance(20)
    assert (await shell.run("probe", "l9")).out.splitlines()[1].startswith("not hashing, 0 H/s")
    pool = await shell.run("probe", "prohashing")
    assert pool.out.splitlines()[1].startswith("m"), "a pool does not hash"
    assert json.loads((await shell.run("probe", "prohashing", "--json")).out)["verdict"] is None


async def test_probe_shows_sums_and_each_part_when_asked(shell: Shell) -> None:
    shown = (await shell.run("probe", "l9")).out
    assert len(shown.splitlines()) < 70, "a screen or two"
    assert "board=" not in shown
    more = re.search(r"(\d+) more, of its parts and limits: --all", shown)
    assert more
    everything = (await shell.run("probe", "l9", "--all")).out
    assert "board=1" in everything
    assert "chip=" not in everything
    assert len(everything.splitlines()) - len(shown.splitlines()) == int(more[1]) - 2
    assert "chip=" in (await shell.run("probe", "l9", "--chips")).out


def test_every_command_has_examples_that_are_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    commands = re.findall(r"^    ([a-z-]+) ", capsys.readouterr().out, re.MULTILINE)
    assert len(commands) >= 9
    for name in commands:
        with pytest.raises(SystemExit):
            main([name, "--help"])
        examples = capsys.readouterr().out.partition("\nexamples:\n")[2].splitlines()
        assert examples, name
        ours = [line for line in examples if "minefleet-exporter " in line.split("  ")[1]]
        for line in ours:
            words = shlex.split(re.split(r"\s{2,}", line.strip())[0])
            parse_arguments(words[words.index("minefleet-exporter") + 1 :])


def test_completion_knows_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--print-completion", "bash"])
    assert ended.value.code == 0
    script = capsys.readouterr().out
    asked = f"{script}\nCOMP_WORDS=(minefleet-exporter inst); COMP_CWORD=1\n"
    function = re.search(r"complete .*-F (\S+)", script)
    assert function
    asked += f'{function[1]}; echo "${{COMPREPLY[*]}}"'
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["install-service"]


@pytest.mark.parametrize(
    "arguments", [("probe", "l9"), ("probe", "l9", "--raw"), ("probe", "l9", "--json"), ("diagnose", "l9")]
)
async def test_who_reads_only_the_first_lines_sees_no_traceback(
    shell: Shell, arguments: tuple[str, ...]
) -> None:
    read, write = os.pipe()
    # As head that has seen enough before anything was written.
    os.close(read)
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "exporter", *arguments, f"--config.file={shell.path}"),
            stdout=write,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
    finally:
        os.close(write)
    _, err = await process.communicate()
    assert err.decode() == ""
    assert process.returncode == 128 + signal.SIGPIPE, "neither up nor down"


async def test_a_device_cannot_paint_the_terminal(shell: Shell) -> None:
    host = shell.simulation.miners["l9"]
    real = host._open["info"]
    host._open["info"] = lambda unlocked: {**real(unlocked), "miner": "[red]L9[/] :ab: \x1b[31m"}
    done = await shell.run("probe", "l9")
    assert "[red]L9[/] :ab:" in done.out
    assert "\x1b" not in done.out


async def test_discover(shell: Shell, tmp_path: Path) -> None:
    port = str(shell.simulation.miners["l9"].port)
    done = await shell.run("discover", "127.77.0.0/28", "--port", port)
    assert done.status == 0
    assert "3 miners at 14 addresses" in done.out
    assert "Antminer L9" in done.out
    assert "Antminer L3+" in done.out
    found = json.loads((await shell.run("discover", "127.77.0.0/28", "--port", port, "--json")).out)
    assert [row["api"] for row in found] == ["v1", "cgi", "simple"]
    assert {row["state"] for row in found} == {"ok"}
    assert found[0]["mac"] == shell.simulation.miners["l9"].miner.mac.lower()
    written = tmp_path / "found.yaml"
    written.write_text((await shell.run("discover", "127.77.0.0/28", "--port", port, "--yaml")).out)
    assert [miner.instance for miner in load(written, {}).fleet.miners] == ["l9", "l3", f"127.77.0.3:{port}"]
    # The old firmware shows whom it mines for; 1.2.7 does so after a login, and the simple shape never.
    assert [row["worker"] for row in found] == ["", "l3", ""]
    assert [miner.worker for miner in load(written, {}).fleet.miners] == [None, "l3", None]
    assert re.search(rf"127\.77\.0\.2:{port} .* l3 *\n", done.out)
    config = yaml.safe_load(shell.path.read_text())
    shell.simulation.miners["l9"].miner.password = "secret"
    config["fleet"]["miners"][0]["password"] = "secret"
    shell.path.write_text(yaml.safe_dump(config))
    found = json.loads((await shell.run("discover", "127.77.0.0/28", "--port", port, "--json")).out)
    assert [row["worker"] for row in found] == ["l9", "l3", ""]
    groups = yaml.safe_load(
        (await shell.run("discover", "127.77.0.0/28", "--port", port, "--file-sd", "exporter:10777")).out
    )
    assert groups[0]["targets"] == ["exporter:10777"]
    assert groups[0]["labels"]["__param_target"] == f"127.77.0.1:{port}"


async def test_a_first_configuration_is_made_without_one(shell: Shell) -> None:
    port = str(shell.simulation.miners["l9"].port)
    scan = ("discover", "127.77.0.0/28", "--port", port, "--write", "config.yaml")
    nobody = await shell.bare("discover", "127.77.0.128/28", "--port", port, "--write", "config.yaml")
    path = shell.path.parent / "empty/config.yaml"
    assert (nobody.status, path.exists()) == (1, False), "nothing found, nothing written"
    done = await shell.bare(*scan)
    assert done.status == 0, done.err
    assert "minefleet-exporter check" in done.out
    made = load(path, {})
    assert [miner.instance for miner in made.fleet.all_miners()] == ["l9", "l3", f"127.77.0.3:{port}"]
    assert made.fleet.allowed_networks == ["127.77.0.0/28"]
    assert made.ended
    assert (await shell.bare("check")).status == 0
    assert (await shell.bare("probe", "l9")).status == 0
    before = path.read_text()
    done = await shell.bare(*scan)
    assert done.status == 2
    assert "config.yaml: is there already" in done.err
    assert path.read_text() == before
    # From here on the configuration says what may be touched, and what is scanned when nothing is named.
    assert (await shell.bare("discover", "127.77.1.0/28", "--port", port)).status == 2
    assert "3 miners at 14 addresses" in (await shell.bare("discover", "--port", port)).out


async def test_without_a_configuration_only_private_networks_are_touched(shell: Shell) -> None:
    done = await shell.bare("discover", "9.9.9.0/30", "--port", "1")
    assert done.status == 2
    assert "9.9.9.0/30: expected a private network" in done.err
    done = await shell.bare("discover", "127.77.0.0/28", "--config.file", "forgotten.yaml")
    assert done.status == 2
    assert "forgotten.yaml: expected a readable file" in done.err


async def test_a_network_named_twice_is_scanned_once(shell: Shell) -> None:
    port = str(shell.simulation.miners["l9"].port)
    done = await shell.run("discover", "127.77.0.0/28", "127.77.0.0/28", "127.77.0.0/29", "--port", port)
    assert "3 miners at 14 addresses" in done.out
    written = yaml.safe_load(
        (await shell.run("discover", "127.77.0.0/28", "127.77.0.0/28", "--port", port, "--yaml")).out
    )
    assert written["fleet"]["allowed_networks"] == ["127.77.0.0/28"]


def test_the_networks_this_machine_is_in() -> None:
    routes = """Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT
eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
wide0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0
wan0\t00090909\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
far0\t0002A8C0\t0101A8C0\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
    assert own_networks(routes) == ["192.168.1.0/24"]


def test_a_narrow_terminal_cuts_nothing_off() -> None:
    row = Identity(
        "v1", model="Antminer L9", firmware="VNish", firmware_version="1.2.7-long", mac="a0:b0:45:00:00:01",
        hostname="a-name-of-some-length",
    )  # fmt: skip
    out = Console(width=64, file=io.StringIO())
    table = _table([Found(Endpoint("http", "127.77.0.200", 80), row)], State="state", Interface="api")
    with out.capture() as capture:
        out.print(table)
    shown = capture.get()
    assert "…" not in shown
    assert "127.77.0.200" in shown
    assert "Interface" in shown
    whole = "127.77.0.200 L9 1.2.7 a0:b0:45:00:00:01 v1"
    assert sorted(re.findall(r"\d", shown)) == sorted(re.findall(r"\d", whole))


async def test_discover_lists_miners_with_their_makers_firmware_apart(shell: Shell) -> None:
    port = str(shell.simulation.miners["l9"].port)
    async with Simulation([STOCK], port=int(port), network="127.77.9"):
        config = yaml.safe_load(shell.path.read_text())
        config["fleet"]["allowed_networks"].append("127.77.9.0/24")
        shell.path.write_text(yaml.safe_dump(config))
        both = ("discover", "127.77.0.0/29", "127.77.9.0/29", "--port", port)
        done = await shell.run(*both)
        assert done.status == 0
        miners, apart = done.out.split("1 more have stock firmware, not VNish:")
        assert "3 miners at 12 addresses" in miners
        assert "127.77.9.1" not in miners
        assert re.search(rf"127\.77\.9\.1:{port} +Antminer L9 +stock", apart)
        rows = json.loads((await shell.run(*both, "--json")).out)
        assert [(row["firmware"], row["api"]) for row in rows][2:] == [("", "simple"), ("stock", "")]
        for form in (["--yaml"], ["--file-sd", "exporter:10777"]):
            written = (await shell.run(*both, *form)).out
            assert "127.77.9.1" not in str(yaml.safe_load(written))
            assert f"# stock firmware, not VNish: 127.77.9.1:{port} Antminer L9" in written
        done = await shell.run("discover", "127.77.9.0/29", "--port", port)
        assert done.status == 1, "none that can be read"


async def test_diagnose_knows_the_makers_firmware_and_does_not_advise_a_password(shell: Shell) -> None:
    port = shell.simulation.miners["l9"].port
    async with Simulation([STOCK], port=port, network="127.77.9"):
        config = yaml.safe_load(shell.path.read_text())
        config["fleet"]["miners"].append({"address": f"127.77.9.1:{port}", "name": "stock"})
        shell.path.write_text(yaml.safe_dump(config))
        done = await shell.run("diagnose", "stock")
        assert done.status == 1
        assert "stock_firmware: stock firmware, not VNish: Antminer L9" in done.out
        assert "install VNish" in done.out
        assert "set password_file" not in done.out
        done = await shell.run("probe", "stock")
        assert "stock firmware, not VNish" in done.out


def test_what_discover_writes_is_a_good_configuration(tmp_path: Path) -> None:
    names = ["124e567", "a", "a", "a-2", "x" * 128, "x" * 128, "yes", "it's: #1", "1.5"]
    found = [
        Found(Endpoint("http", f"127.77.0.{n}", 80), Identity("v1", hostname=name))
        for n, name in enumerate(names, 1)
    ]
    path = tmp_path / "config.yaml"
    path.write_text(_dump(configuration(found, ["127.77.0.0/24"])))
    written = [miner.instance for miner in load(path, {}).fleet.all_miners()]
    assert len(set(written)) == len(names)
    assert written[:4] == ["124e567", "a", "a-2", "a-2-2"]


@pytest.mark.parametrize(
    ("user", "status", "worker"),
    [
        ("account.barn1-l9-01", "active", "barn1-l9-01"),
        ("account.rack3.rig", "active", "rack3.rig"),
        ("DWalletWithoutAWorker", "active", ""),
        ("*****", "active", ""),
        ("account.*****", "active", ""),
        ("account. ", "active", ""),
        (None, "active", ""),
        ("spare.other", "working", "first"),
    ],
)
def test_a_worker_is_the_active_pools_user_without_the_account(
    user: str | None, status: str, worker: str
) -> None:
    pools = [Pool("0", "UserPool", "pool.example:1", user, status)]
    if status == "working":
        pools.append(Pool("1", "UserPool", "pool.example:1", "account.first", "active"))
    pools.append(Pool("2", "DevFee", "fee.example:1", "dev.fee", "active"))
    assert mined_as(MinerReading(Identity("v1"), pools=pools)) == worker


async def test_discover_touches_nothing_outside_the_allowed_networks(shell: Shell) -> None:
    for network in ("127.78.0.0/24", "127.77.0.0/16", "nonsense"):
        done = await shell.run("discover", network)
        assert done.status == 2
        assert network in done.err
    assert (await shell.run("discover", "127.77.0.128/28", "--port", "1")).status == 1, "nobody there"


async def test_worker(shell: Shell) -> None:
    done = await shell.run("worker", "l9")
    assert done.status == 0
    for line in (
        "url       stratum+tcp://us.mining.prohashing.com:3333",
        "user      ali",
        "password  a=scrypt,n=l9",
    ):
        assert line in done.out
    assert json.loads((await shell.run("worker", "l9", "--json")).out)[0]["password"] == "a=scrypt,n=l9"
    # The miner says what it mines, unless it is told for it; a silent one cannot.
    done = await shell.run("worker", "l9", "--algorithm", "sha256d", "--json")
    assert json.loads(done.out)[0]["password"] == "a=sha-256,n=l9"
    await shell.simulation.inject("l9", "unplugged")
    done = await shell.run("worker", "l9")
    assert done.status == 2
    assert "expected --algorithm" in done.err
    assert (await shell.run("worker", "l9", "--algorithm", "scrypt")).status == 0
    await shell.simulation.repair("l9")
    done = await shell.run("worker", "nobody")
    assert done.status == 2
    config = yaml.safe_load(shell.path.read_text())
    # An account that is only read for its quotes keeps nobody from the settings of the others.
    config["pools"] = [{"type": "yiimp", "base_url": "https://pool.example"}]
    shell.path.write_text(yaml.safe_dump(config))
    done = await shell.run("worker", "l9")
    assert done.status == 0
    assert "password  a=scrypt,n=l9" in done.out
    assert "yiimp: expected stratum_url" in done.err
    config["pools"] = []
    del config["prohashing"]["account"]
    shell.path.write_text(yaml.safe_dump(config))
    done = await shell.run("worker", "l9")
    assert done.status == 2
    assert "expected account" in done.err


async def test_diagnose_a_healthy_miner_and_pool(shell: Shell) -> None:
    for name in ("l9", "l3", "simple", "prohashing"):
        done = await shell.run("diagnose", name)
        assert done.status == 0, done.out
        assert "failed" not in done.out
    checks = json.loads((await shell.run("diagnose", "l9", "--json")).out)
    assert {
        "configuration",
        "name and address",
        "ping",
        "TCP",
        "HTTP",
        "clock",
        "interface",
        "units",
        "state",
    } <= {check["name"] for check in checks}
    names = {check["name"] for check in json.loads((await shell.run("diagnose", "prohashing", "--json")).out)}
    assert {"/profitability", "authentication", "freshness", "earnings"} <= names


# What a person is told first of each fault, and whether it is a failure.
EXPECTED = {
    "unplugged": ("TCP", 1),
    "hanging": ("HTTP", 1),
    "http_500": ("interface", 1),
    "html": ("interface", 1),
    "truncated_json": ("interface", 1),
    "process_dead": ("state", 1),
    "wrong_types": ("units", 1),
    "paused": ("state", 1),
    "failure": ("state", 1),
    "board_lost": ("boards", 0),
    "hashrate_drop": ("hashrate", 0),
    "slow": ("", 0),
}


@pytest.mark.parametrize("fault", EXPECTED)
async def test_diagnose_each_fault(shell: Shell, fault: str) -> None:
    assert fault in MINER_FAULTS
    await shell.simulation.inject("l9", fault, {"seconds": 0.01} if fault == "slow" else None)
    shell.simulation.miners["l9"].miner.advance(5)
    done = await shell.run("diagnose", "l9", "--json")
    name, status = EXPECTED[fault]
    checks: list[dict[str, Any]] = json.loads(done.out)
    troubled = [check for check in checks if check["verdict"] in ("failed", "warning")]
    assert done.status == status, done.out
    if name:
        told = next(check for check in troubled if check["name"] == name)
        assert told["advice"]
    else:
        assert troubled == []


@pytest.mark.parametrize(("fault", "name"), [("dead", "service"), ("empty", "figures"), ("html", "figures")])
async def test_diagnose_a_pool_in_trouble(shell: Shell, fault: str, name: str) -> None:
    await shell.simulation.inject("pool", fault)
    done = await shell.run("diagnose", "prohashing", "--json")
    assert done.status == 1
    assert [check["name"] for check in json.loads(done.out) if check["verdict"] == "failed"] == [name]


@pytest.mark.parametrize(
    ("fault", "name"), [(None, None), ("wrong_key", "authentication"), ("dead", "service")]
)
async def test_diagnose_a_pool_that_keeps_a_connection(shell: Shell, fault: str, name: str) -> None:
    config = yaml.safe_load(shell.path.read_text())
    host = shell.simulation.pools["prohashing"]
    assert isinstance(host, ProhashingHost)
    config["prohashing"] = {"wamp_url": host.wamp_url, "api_key": shell.simulation.account.key}
    shell.path.write_text(yaml.safe_dump(config))
    if fault:
        await shell.simulation.inject("prohashing", fault)
    done = await shell.run("diagnose", "prohashing", "--json")
    checks = json.loads(done.out)
    names = [check["name"] for check in checks]
    assert "connect" in names
    assert shell.simulation.account.key not in done.out + done.err
    assert [check["name"] for check in checks if check["verdict"] == "failed"] == ([name] if name else [])
    if fault is None:
        assert {"miner_update_diffs_<key>", "f_all_miner_updates", "freshness", "workers", "earnings"} <= set(
            names
        )
        assert done.status == 0
    assert "wamp_url" in done.out if fault == "dead" else True


async def test_a_wrong_password_is_diagnosed_and_not_shown(shell: Shell) -> None:
    config = yaml.safe_load(shell.path.read_text())
    config["fleet"]["miners"][0] |= {"password": "${PW}", "full_detail": True}
    shell.path.write_text(yaml.safe_dump(config))
    done = await shell.run("diagnose", "l9", PW="hunter2")
    assert done.status == 1
    assert "Correct the password" in done.out
    assert "hunter2" not in done.out + done.err
