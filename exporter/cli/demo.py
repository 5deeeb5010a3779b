"""``demo``: a simulated fleet and its pool, the exporter, and from a checkout the whole stack."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from exporter import bundle
from exporter.cli.common import command
from exporter.simulator.faults import MINER_FAULTS, UnknownFaultError
from exporter.simulator.simulation import Simulation, control_app, load_scenario, mixed_fleet
from exporter.simulator.stack import (
    Stack,
    StackError,
    bound_to_us,
    find_grafana,
    find_program,
    require_free,
    wait_ready,
)

EXPORTER = "127.0.0.1:10777"
CONTROL_PORT = 10790
POOL_PORT = 13000
POOL_KIND = "litecoinpool"
MINER_PORT = 8077
PROMETHEUS_PORT = 19090
ALERTMANAGER_PORT = 19093
GRAFANA_PORT = 13001
_FOLDER = "minefleet-demo-"
_MOST_MISSED = 10


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "demo",
        "simulate a fleet and watch it, on this machine's loopback only",
        """
        minefleet-exporter demo                                the fleet and the exporter
        minefleet-exporter demo --stack                        with Prometheus and Alertmanager
        minefleet-exporter demo --break barn1-l9-01 unplugged  from a second terminal
        minefleet-exporter demo --repair barn1-l9-01
        """,
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
        nargs="?",
        const=bundle.ROOT,
        metavar="DIR",
        help="run Prometheus, Alertmanager and, if there, Grafana too (with the files of DIR)",
    )
    parser.add_argument(
        "--break",
        dest="break_",
        nargs=2,
        metavar=("MINER", "FAULT"),
        help="break a miner of the demo that runs",
    )
    parser.add_argument("--repair", metavar="MINER", help="repair a miner of the demo that runs")
    parser.add_argument("--simulator-only", action="store_true", help="do not start the exporter")
    parser.add_argument(
        "--while",
        dest="while_",
        metavar="URL",
        help="end when nothing answers there any more, such as an exporter whose network this shares",
    )
    parser.set_defaults(run=run)


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 5000:
        raise argparse.ArgumentTypeError("expected 1 to 5000 miners")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Run until interrupted; 1 if a port or a program is missing."""
    try:
        if arguments.break_ or arguments.repair:
            return asyncio.run(_tell(arguments.break_, arguments.repair))
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
    _clear_away()
    # A terminal that is closed hangs up.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
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
        directory = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix=f"{_FOLDER}{os.getpid()}-")))
        if not arguments.simulator_only:
            await _start_exporter(simulation, directory, opened)
        stack = None
        if arguments.stack:
            stack = _stack(arguments.stack.resolve(), directory)
            opened.push_async_callback(stack.stop)
            await stack.start()
        simulation.play(steps)
        print(
            _guide(simulation, await _links(stack, alone=arguments.simulator_only), with_stack=bool(stack)),
            flush=True,
        )
        if arguments.while_:
            watch = asyncio.create_task(_watch(arguments.while_, stop))
            opened.callback(watch.cancel)
        await stop.wait()
        # Nobody reads it where the terminal is gone.
        with contextlib.suppress(OSError):
            print("\nstopping", flush=True)
    return 0


async def _watch(url: str, stop: asyncio.Event) -> None:
    """Set *stop* when *url* has answered, and then has not for some seconds.

    A container that comes back has a network of its own; who shared the one before has to be started anew.
    """
    answered, missed = False, 0
    fresh = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=fresh, timeout=aiohttp.ClientTimeout(total=5)) as session:
        while missed < _MOST_MISSED:
            try:
                async with session.get(url):
                    answered, missed = True, 0
            except (aiohttp.ClientError, TimeoutError):
                missed += answered
            await asyncio.sleep(1)
    stop.set()


async def _tell(broken: list[str] | None, repaired: str | None) -> int:
    """Have a demo that runs break or repair a miner, as its page does."""
    url = f"http://127.0.0.1:{CONTROL_PORT}/"
    method, path = ("POST", f"{broken[0]}/faults/{broken[1]}") if broken else ("DELETE", f"{repaired}/faults")
    try:
        async with aiohttp.ClientSession() as session, session.request(method, url + path) as answer:
            if answer.status < 300:
                return 0
            print(f"demo: {(await answer.text()).strip()}", file=sys.stderr)
    except aiohttp.ClientError:
        print("demo: expected a demo that runs, found none", file=sys.stderr)
    return 1


def _others() -> Iterator[tuple[Path, int, bool]]:
    """The folders of demos, with the process of each and whether it lives."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*-*"):
        number = folder.name.removeprefix(_FOLDER).partition("-")[0]
        if number.isdigit():
            yield folder, int(number), Path("/proc", number).exists()


def _clear_away() -> None:
    """Remove what a demo that was killed left behind."""
    for folder, _, lives in _others():
        if not lives:
            shutil.rmtree(folder, ignore_errors=True)


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
        if find_grafana():
            wanted.append((GRAFANA_PORT, "Grafana"))
    try:
        for port, what in wanted:
            require_free("127.0.0.1", port, what)
        require_free("127.77.0.1", MINER_PORT, "the simulated miners")
    except StackError as error:
        running = next((number for _, number, lives in _others() if lives), None)
        if running is None:
            raise
        raise StackError(f"{error}; a demo runs already, and ends with: kill {running}") from None


async def _start_exporter(simulation: Simulation, directory: Path, opened: contextlib.AsyncExitStack) -> None:
    file = directory / "config.yaml"
    file.write_text(yaml.safe_dump(demo_configuration(simulation), sort_keys=False), "utf-8")
    process = await asyncio.create_subprocess_exec(
        *bound_to_us(sys.executable),
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
    # Prometheus asks it for targets as soon as it starts, and after that not so soon.
    await wait_ready("the exporter", process, f"http://{EXPORTER}/-/ready")


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
        grafana_port=GRAFANA_PORT,
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
        text = str(attachment.get("text", ""))
        # As Slack shows a link; to a Grafana that does not run it is none. The runbook is the exporter's.
        text = re.sub(
            r" ?<([^|>]+)\|([^>]+)>",
            lambda link: f" {link[2]}: {link[1]}" if find_grafana() or "/docs/" in link[1] else "",
            text,
        )
        for line in text.strip().splitlines():
            print(f"    {line}", flush=True)
    return web.Response(text="ok")


async def _links(stack: Stack | None, *, alone: bool) -> list[tuple[str, str]]:
    """What there is to open in a browser, as name and address; only what answers with a page."""
    candidates = [("break them", f"http://127.0.0.1:{CONTROL_PORT}/", "")]
    if not alone:
        candidates.append(("the exporter", f"http://{EXPORTER}/", "the fleet at a glance"))
    if stack:
        # Debian's packages have the older pages of Prometheus, and none of Alertmanager.
        candidates += [
            ("Prometheus", f"http://{stack.prometheus}/{prefix}{name}", what)
            for name, what in (("targets", "what is scraped"), ("alerts", "what fires"))
            for prefix in ("", "classic/")
        ]
        candidates.append(("Alertmanager", f"http://{stack.alertmanager}/", "what was sent"))
        if stack.grafana:
            candidates.append(
                ("Grafana", f"http://{stack.grafana}/d/minefleet-fleet", "the dashboard, without a login")
            )
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        return [
            (name, f"{url}   {what}".rstrip())
            for name, url, what in candidates
            if await _is_page(session, url)
        ]


async def _is_page(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url, headers={"Accept": "text/html"}) as answer:
            return answer.status == 200 and answer.content_type == "text/html"
    except (aiohttp.ClientError, TimeoutError):
        return False


def _guide(simulation: Simulation, links: list[tuple[str, str]], *, with_stack: bool) -> str:
    first = next(iter(simulation.miners))
    host = simulation.miners[first]
    command = shutil.which("minefleet-exporter") or str(Path(sys.executable).with_name("minefleet-exporter"))
    with contextlib.suppress(ValueError):
        command = str(Path(command).relative_to(Path.cwd()))
    lines = [
        "",
        f"A simulated fleet of {len(simulation.miners)} miners and its pool are running, on loopback only:",
        f"  miners        http://{host.address}:{host.port}/ and the addresses after it",
        *(f"  {name:13} {link}" for name, link in links),
    ]
    ports = sorted({match[1] for _, link in links if (match := re.search(r"127\.0\.0\.1:(\d+)", link))})
    forwards = " ".join(f"-L {port}:127.0.0.1:{port}" for port in ports)
    lines += [
        "To see the pages from another machine, there:",
        f"  ssh {forwards} {os.environ.get('USER', 'you')}@THIS-MACHINE",
        "",
        "Unplug a miner, in a second terminal:",
        f"  {command} demo --break {first} unplugged",
    ]
    if not with_stack:
        lines.append("Plug it in again:")
    else:
        lines.append(
            "and within two minutes its alert is printed here, as Slack would get it. Plug it in again:"
        )
    lines += [
        f"  {command} demo --repair {first}",
        f"Other faults: {', '.join(name for name in MINER_FAULTS if name != 'unplugged')}",
        "",
        "Ctrl-C stops everything.",
    ]
    return "\n".join(lines)
