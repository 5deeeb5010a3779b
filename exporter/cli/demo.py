"""``demo``: a simulated fleet and its pool, the exporter, and from a checkout the whole stack."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from exporter.simulator.faults import MINER_FAULTS, UnknownFaultError
from exporter.simulator.simulation import Simulation, control_app, load_scenario, mixed_fleet
from exporter.simulator.stack import Stack, StackError, find_program, require_free

EXPORTER = "127.0.0.1:10777"
CONTROL_PORT = 10790
POOL_PORT = 13000
POOL_KIND = "litecoinpool"
MINER_PORT = 8077
PROMETHEUS_PORT = 19090
ALERTMANAGER_PORT = 19093


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "demo", help="simulate a fleet and watch it, on this machine's loopback only"
    )
    parser.add_argument(
        "--miners", type=_count, default=12, metavar="N", help="how many (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same fleet")
    parser.add_argument("--speed", type=_speed, default=1.0, help="how much faster the miners' time runs")
    parser.add_argument("--scenario", type=Path, metavar="FILE", help="a YAML list of what goes wrong when")
    parser.add_argument(
        "--stack",
        type=Path,
        metavar="DIR",
        help="a checkout of this project: its Prometheus and Alertmanager files are run too",
    )
    parser.add_argument("--simulator-only", action="store_true", help="do not start the exporter")
    parser.set_defaults(run=run)


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 5000:
        raise argparse.ArgumentTypeError("expected 1 to 5000 miners")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Run until interrupted; 1 if a port or a program is missing."""
    try:
        return asyncio.run(_demo(arguments))
    except (StackError, UnknownFaultError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1


def _speed(text: str) -> float:
    speed = float(text)
    if not 0 < speed <= 1000:
        raise ValueError
    return speed


async def _demo(arguments: argparse.Namespace) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    _check_ports(arguments)
    simulation = Simulation(
        mixed_fleet(arguments.miners),
        seed=arguments.seed,
        port=MINER_PORT,
        pool_port=POOL_PORT,
        pools=(POOL_KIND,),
        speed=arguments.speed,
    )
    steps = load_scenario(arguments.scenario, list(simulation.miners)) if arguments.scenario else []
    async with contextlib.AsyncExitStack() as opened:
        await opened.enter_async_context(simulation)
        runner = web.AppRunner(_control(simulation), access_log=None)
        await runner.setup()
        opened.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", CONTROL_PORT).start()
        directory = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="minefleet-demo-")))
        if not arguments.simulator_only:
            await _start_exporter(simulation, directory, opened)
        if arguments.stack:
            stack = _stack(arguments.stack.resolve(), directory)
            opened.push_async_callback(stack.stop)
            await stack.start()
        simulation.play(steps)
        print(
            _guide(simulation, with_stack=bool(arguments.stack), alone=arguments.simulator_only), flush=True
        )
        await stop.wait()
        print("\nstopping", flush=True)
    return 0


def demo_configuration(simulation: Simulation) -> dict[str, Any]:
    """The exporter's configuration for the demo: impatient, so that something happens while one watches."""
    config = simulation.configuration(poll_interval_seconds=5, timeout_seconds=3, min_interval_seconds=1)
    config["alerts"] = {"thresholds": {"offline_duration_minutes": 0.5}}
    return config


def _check_ports(arguments: argparse.Namespace) -> None:
    wanted = [(CONTROL_PORT, "the page to break miners"), (POOL_PORT, "the simulated pool")]
    if not arguments.simulator_only:
        wanted.append((int(EXPORTER.rpartition(":")[2]), "the exporter"))
    if arguments.stack:
        wanted += [(PROMETHEUS_PORT, "Prometheus"), (ALERTMANAGER_PORT, "Alertmanager")]
        for name in ("prometheus", "alertmanager"):
            find_program(name)
        if not (arguments.stack / "prometheus" / "prometheus.yml").is_file():
            raise StackError(
                f"{arguments.stack} is no checkout of this project: no prometheus/prometheus.yml"
            )
    for port, what in wanted:
        require_free("127.0.0.1", port, what)
    require_free("127.77.0.1", MINER_PORT, "the simulated miners")


async def _start_exporter(simulation: Simulation, directory: Path, opened: contextlib.AsyncExitStack) -> None:
    file = directory / "config.yaml"
    file.write_text(yaml.safe_dump(demo_configuration(simulation), sort_keys=False), "utf-8")
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "exporter",
        "serve",
        f"--config.file={file}",
        f"--web.listen-address={EXPORTER}",
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )

    async def end() -> None:
        if process.returncode is None:
            process.terminate()
        await process.wait()

    opened.push_async_callback(end)


def _stack(root: Path, directory: Path) -> Stack:
    def faster(config: dict[str, Any]) -> None:
        config["global"] = {"scrape_interval": "5s", "scrape_timeout": "4s", "evaluation_interval": "5s"}
        for job in config["scrape_configs"]:
            for discovery in job.get("http_sd_configs", []):
                discovery["refresh_interval"] = "5s"

    def sooner(config: dict[str, Any]) -> None:
        config["route"] |= {"group_wait": "8s", "group_interval": "15s"}

    return Stack(
        root,
        directory,
        exporter=EXPORTER,
        slack_url=f"http://127.0.0.1:{CONTROL_PORT}/slack",
        prometheus_port=PROMETHEUS_PORT,
        alertmanager_port=ALERTMANAGER_PORT,
        edit_prometheus=faster,
        edit_alertmanager=sooner,
    )


def _control(simulation: Simulation) -> web.Application:
    app = control_app(simulation)
    app.router.add_post("/slack", _show_notification)
    return app


async def _show_notification(request: web.Request) -> web.Response:
    """Stands for Slack: what Alertmanager sends is printed."""
    message = await request.json()
    for attachment in message.get("attachments", []):
        print(f"\n>>> Slack {message.get('channel', '')}: {attachment.get('title', '')}", flush=True)
        for line in str(attachment.get("text", "")).strip().splitlines():
            print(f"    {line}", flush=True)
    return web.Response(text="ok")


def _guide(simulation: Simulation, *, with_stack: bool, alone: bool) -> str:
    first = next(iter(simulation.miners))
    host = simulation.miners[first]
    lines = [
        "",
        f"A simulated fleet of {len(simulation.miners)} miners and its pool are running, on loopback only:",
        f"  miners        http://{host.address}:{host.port}/ and the addresses after it",
        f"  break them    http://127.0.0.1:{CONTROL_PORT}/",
    ]
    if not alone:
        lines.append(f"  the exporter  http://{EXPORTER}/   the fleet at a glance")
    if with_stack:
        lines += [
            f"  Prometheus    http://127.0.0.1:{PROMETHEUS_PORT}/targets and /alerts",
            f"  Alertmanager  http://127.0.0.1:{ALERTMANAGER_PORT}/",
        ]
    lines += [
        "",
        "Unplug a miner:",
        f"  curl -X POST http://127.0.0.1:{CONTROL_PORT}/{first}/faults/unplugged",
    ]
    if with_stack:
        lines.append(
            "and within two minutes its alert is printed here, as Slack would get it. Plug it in again:"
        )
    else:
        lines.append("Plug it in again:")
    lines += [
        f"  curl -X DELETE http://127.0.0.1:{CONTROL_PORT}/{first}/faults",
        f"Other faults: {', '.join(name for name in MINER_FAULTS if name != 'unplugged')}",
        "",
        "Ctrl-C stops everything.",
    ]
    return "\n".join(lines)
