"""Two machines' worth of deploy/scale on loopback, parts of it killed, and what was lost counted.

benchmarks/scale.py [--miners N] [--interval SECONDS] [--evaluation SECONDS] [--programs DIRECTORY]
                    [--keep DIRECTORY] [--write]

Runs every service of deploy/scale/compose.yml twice, with its own flags and files, at two loopback addresses;
this process plays the miners and receives the alerts. One exporter, one vmagent and one store are killed in
turn, each while five healthy miners are unplugged. Printed is the report in docs/scale.md. The programs of
VictoriaMetrics' cluster and Alertmanager are looked for on PATH; nothing is sent to any other address.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import math
import os
import platform
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import aiohttp
import yaml
from aiohttp import web

from benchmarks.fleet import PORT, Farm, cpu_seconds, resident_mib
from benchmarks.report import write
from exporter.simulator.stack import free_port

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deploy/scale"
SERVICES: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yml").read_text("utf-8"))["services"]
# In the order of their start.
ORDER = ("vmstorage", "vminsert", "vmselect", "exporter", "vmauth", "alertmanager", "vmalert", "vmagent")
ALIASES = {"alertmanager": ("alertmanager", "prometheus-alertmanager")}
HERE = ("127.100.0.1", "127.100.0.2")
PER_SITE = 100
UNPLUGGED_EACH_TIME = 5
# Of processor time, where the compose file says nothing: Docker's.
CPU_SHARES = 1024
OFFLINE = "MinefleetMinerOffline"
WATCHDOG = "MinefleetWatchdog"


def find_programs() -> dict[str, str]:
    """The program of each service but the exporter; ends with a list of those that are missing."""
    found: dict[str, str] = {}
    for name in ORDER:
        if name != "exporter":
            paths = (shutil.which(alias) for alias in ALIASES.get(name, (name,)))
            found[name] = next((path for path in paths if path), "")
    missing = [name for name, path in found.items() if not path]
    if missing:
        print(
            f"not on PATH: {', '.join(missing)}. vmstorage, vminsert and vmselect are VictoriaMetrics' "
            "cluster, vmagent, vmauth and vmalert its utilities; --programs DIRECTORY is searched first.",
            file=sys.stderr,
        )
        sys.exit(2)
    return found


@dataclass
class Node:
    """One machine: its address, its files, its variables of the compose file, and the processes that run."""

    number: int
    directory: Path
    programs: dict[str, str]
    settings: dict[str, str]
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    @property
    def here(self) -> str:
        """Its address."""
        return HERE[self.number]

    def _filled(self, text: str) -> str:
        """*text* of the compose file, with this node's variables, or their defaults."""
        values = {
            **self.settings,
            "NODE": str(self.number),
            "HERE": self.here,
            "THERE": HERE[1 - self.number],
        }
        return re.sub(
            r"\$\{(\w+)(?::[-?]([^}]*))?\}", lambda found: values.get(found[1], found[2] or ""), text
        )

    def command(self, service: str) -> list[str]:
        """What the compose file runs, with the files of this machine in place of mounted ones."""
        declared = SERVICES[service]
        places: dict[str, str] = {}
        for volume in declared.get("volumes", ()):
            if isinstance(volume, str):
                name, _, target = volume.partition(":")
                data = self.directory / name
                data.mkdir(exist_ok=True)
                places[target] = str(data)
            else:
                changed = self.directory.parent / Path(volume["target"]).name
                shipped = (FOLDER / self._filled(volume["source"])).resolve()
                places[volume["target"]] = str(changed if changed.exists() else shipped)
        flags = [self._filled(flag) for flag in declared["command"]]
        for target, place in sorted(places.items(), reverse=True):
            flags = [re.sub(rf"(?<==){re.escape(target)}(?=/|$)", place, flag) for flag in flags]
        if service == "exporter":
            return [sys.executable, "-m", "exporter", *flags]
        return [self.programs[service], *flags]

    def niceness(self, service: str) -> int:
        """What gives a process its share: each step is a factor of 1.25, and the largest share is no step."""
        shares = {name: one.get("cpu_shares", CPU_SHARES) for name, one in SERVICES.items()}
        return round(math.log(max(shares.values()) / shares[service], 1.25))

    async def start(self, service: str) -> None:
        """Start it; its log is appended to."""
        with (self.directory / f"{service}.log").open("ab") as log:
            self.processes[service] = await asyncio.create_subprocess_exec(
                *("nice", "-n", str(self.niceness(service))),
                *self.command(service),
                stdout=log,
                stderr=log,
                cwd=ROOT,
                env={**os.environ, "HERE": self.here, "THERE": HERE[1 - self.number]},
                # In this session: between sessions the kernel may share without regard to niceness.
                process_group=0,
            )

    async def kill(self, service: str) -> None:
        """As a machine does that loses power."""
        process = self.processes.pop(service)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()

    async def stop(self) -> None:
        """Stop whatever runs."""
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        for process in self.processes.values():
            try:
                async with asyncio.timeout(20):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()


class Sink:
    """Receives what both Alertmanagers send, and writes it down beside the logs."""

    def __init__(self, log: Path) -> None:
        self.messages: list[dict[str, Any]] = []
        self._log = log

    async def receive(self, request: web.Request) -> web.Response:
        """A message of a webhook."""
        message = await request.json()
        self.messages.append(message)
        with self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps({"received": time.time(), **message}) + "\n")
        return web.Response(text="ok")

    def firing(self, name: str) -> set[str]:
        """The instances an alert was sent for."""
        return {
            alert["labels"].get("instance", "")
            for message in self.messages
            for alert in message["alerts"]
            if alert["status"] == "firing" and alert["labels"]["alertname"] == name
        }

    def names(self) -> Counter[str]:
        """How many alerts of each name were sent as firing."""
        return Counter(
            name
            for name, _ in {
                (alert["labels"]["alertname"], alert["fingerprint"])
                for message in self.messages
                for alert in message["alerts"]
                if alert["status"] == "firing"
            }
        )

    def doubled(self) -> int:
        """Messages that told nothing which an earlier one of the group had not just told.

        The watchdog's are not counted: they are sent again and again to say that messages arrive.
        """
        last: dict[str, frozenset[tuple[str, str]]] = {}
        count = 0
        for message in self.messages:
            told = frozenset((alert["fingerprint"], alert["status"]) for alert in message["alerts"])
            watchdog = message["groupLabels"]["alertname"] == WATCHDOG
            count += last.get(message["groupKey"]) == told and not watchdog
            last[message["groupKey"]] = told
        return count


def write_files(directory: Path, farm: Farm, arguments: argparse.Namespace, sink: str) -> None:
    """The exporters' configuration, and Alertmanager's with the receiver that counts."""
    miners = [
        {
            "address": f"{farm.address(index)}:{PORT}",
            "name": f"m{index}",
            "labels": {"site": f"barn{index // PER_SITE}"},
        }
        for index in range(arguments.miners)
    ]
    fleet = {
        "miners": miners,
        "poll_interval_seconds": arguments.interval,
        "timeout_seconds": 10,
        "collect": {"chips": False},
    }
    config = {
        "fleet": fleet,
        "alerts": {"thresholds": {"offline_duration_minutes": 1}},
        "logging": {"level": "WARNING"},
    }
    (directory / "config.yaml").write_text(yaml.safe_dump(config), "utf-8")
    routes = yaml.safe_load((ROOT / "alertmanager/alertmanager.yml").read_text("utf-8"))
    routes["global"] = {"resolve_timeout": "5m"}
    del routes["templates"]
    # A run cannot wait five minutes for a group to be told again.
    routes["route"] |= {"group_wait": "20s", "group_interval": "30s"}
    for receiver in routes["receivers"]:
        if receiver["name"] != "nobody":
            receiver.pop("email_configs", None)
            receiver.pop("slack_configs", None)
            receiver["webhook_configs"] = [{"url": sink, "max_alerts": 0}]
    (directory / "alertmanager.yml").write_text(yaml.safe_dump(routes), "utf-8")


class Run:
    """One measurement."""

    def __init__(self, arguments: argparse.Namespace, directory: Path, programs: dict[str, str]) -> None:
        self.arguments = arguments
        self.directory = directory
        self.nodes = []
        for number in (0, 1):
            (directory / f"node{number}").mkdir()
            settings = {"EVALUATION_INTERVAL": f"{arguments.evaluation}s"}
            self.nodes.append(Node(number, directory / f"node{number}", programs, settings))
        self.farm = Farm(arguments.miners)
        self.sink = Sink(directory / "messages.jsonl")
        self.unplugged: dict[str, float] = {}
        self.phases: list[tuple[str, float, float]] = []
        self.usage: dict[str, tuple[float, float]] = {}
        # Each miner was scraped once.
        self.complete = asyncio.Event()
        # When either machine was asked for the whole fleet, and what its answer lacked.
        self.answers: list[tuple[float, int | str]] = []
        self.samples_per_second = 0.0
        self.series = 0.0

    async def __call__(self) -> str:
        """Run it; the report."""
        async with contextlib.AsyncExitStack() as opened:
            self.session = await opened.enter_async_context(
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
            )
            app = web.Application(client_max_size=64 * 1024 * 1024)
            app.router.add_post("/", self.sink.receive)
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            opened.push_async_callback(runner.cleanup)
            port = free_port(HERE[0])
            await web.TCPSite(runner, HERE[0], port).start()
            await self.farm.start()
            write_files(self.directory, self.farm, self.arguments, f"http://{HERE[0]}:{port}/")
            for node in self.nodes:
                opened.push_async_callback(node.stop)
            for service in ORDER:
                for node in self.nodes:
                    await node.start(service)
                if service in ("exporter", "vmstorage"):
                    await self._answering(service)
            watch = asyncio.create_task(self._watch())
            try:
                await self._timeline()
            finally:
                watch.cancel()
            return await self._report()

    async def _answering(self, service: str) -> None:
        port, path = {"exporter": (10777, "/-/ready"), "vmstorage": (8482, "/health")}[service]
        for node in self.nodes:
            async with asyncio.timeout(300):
                while True:
                    with contextlib.suppress(aiohttp.ClientError):
                        async with self.session.get(f"http://{node.here}:{port}{path}") as response:
                            if response.status == 200:
                                break
                    if node.processes[service].returncode is not None:
                        raise SystemExit(
                            f"{service} ended: see {node.directory}/{service}.log, kept with --keep"
                        )
                    await asyncio.sleep(0.5)

    async def _query(self, node: Node, path: str, **parameters: str) -> aiohttp.ClientResponse:
        url = f"http://{node.here}:8427/select/0/prometheus/api/v1/{path}"
        return await self.session.get(url, params=parameters)

    async def _lacking(self, node: Node) -> int | str:
        """How many miners *node* does not know of now, or in words why it gives no whole answer."""
        try:
            async with await self._query(node, "query", query="count(vnish_up)") as response:
                if response.status != 200:
                    return f"status {response.status}"
                answer = await response.json()
        except (aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__
        if answer.get("isPartial"):
            return "partial"
        result = answer["data"]["result"]
        miners: int = self.arguments.miners
        return miners - (int(result[0]["value"][1]) if result else 0)

    async def _watch(self) -> None:
        """Ask both machines for the whole fleet, again and again, once it is there."""
        while True:
            for node in self.nodes:
                asked = time.time()
                lacking = await self._lacking(node)
                if lacking == 0:
                    self.complete.set()
                if self.complete.is_set():
                    self.answers.append((asked, lacking))
            await asyncio.sleep(5)

    def _say(self, text: str) -> None:
        print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    async def _timeline(self) -> None:
        interval = self.arguments.interval
        self._say(f"{self.arguments.miners} miners, waiting until each was scraped")
        async with asyncio.timeout(600):
            await self.complete.wait()
        async with self._phase("all well", measured=True):
            await asyncio.sleep(2 * interval)
        async with self._phase("one exporter killed, down for 75 s"):
            await self.nodes[0].kill("exporter")
            self._unplug(1)
            await asyncio.sleep(75)
            await self.nodes[0].start("exporter")
            await asyncio.sleep(interval / 2)
        async with self._phase("one vmagent killed, started again after 5 s"):
            await self.nodes[1].kill("vmagent")
            self._unplug(2)
            await asyncio.sleep(5)
            await self.nodes[1].start("vmagent")
            await asyncio.sleep(1.5 * interval)
        async with self._phase("one store killed, down for 75 s"):
            await self.nodes[1].kill("vmstorage")
            self._unplug(3)
            await asyncio.sleep(75)
            await self.nodes[1].start("vmstorage")
            await asyncio.sleep(interval / 2)
        async with self._phase("until the last alerts were due"):
            # Missed by a scrape, seen by an evaluation, pending until the next, told after the group's wait.
            await asyncio.sleep(120 + interval + 2 * self.arguments.evaluation)

    @contextlib.asynccontextmanager
    async def _phase(self, name: str, *, measured: bool = False) -> Any:
        self._say(name)
        started, clock = time.time(), time.monotonic()
        before = self._used() if measured else {}
        rows = await self._rows() if measured else 0.0
        yield
        seconds = time.monotonic() - clock
        self.phases.append((name, started, time.time()))
        if measured:
            self.samples_per_second = (await self._rows() - rows) / seconds
            self.usage = {
                name: ((used - before[name][0]) / seconds, memory)
                for name, (used, memory) in self._used().items()
            }
            self.series = await self._metric(
                self.nodes[0], 8482, 'vm_cache_entries{type="storage/hour_metric_ids"}'
            )

    def _used(self) -> dict[str, tuple[float, float]]:
        """Processor seconds and resident MiB of each service, both nodes together."""
        result: dict[str, tuple[float, float]] = {}
        for service in ORDER:
            pids = [node.processes[service].pid for node in self.nodes]
            result[service] = sum(map(cpu_seconds, pids)), sum(map(resident_mib, pids))
        return result

    async def _rows(self) -> float:
        """Samples both vmagents have scraped."""
        counts = [await self._metric(node, 8429, "vm_promscrape_scraped_samples_sum") for node in self.nodes]
        return sum(counts)

    async def _metric(self, node: Node, port: int, series: str) -> float:
        """A figure a service tells of itself."""
        async with self.session.get(f"http://{node.here}:{port}/metrics") as response:
            for line in (await response.text()).splitlines():
                if line.startswith(f"{series} "):
                    return float(line.split()[-1])
        return 0.0

    def _unplug(self, time_of: int) -> None:
        healthy = [index for index, kind in enumerate(self.farm.kinds) if kind == "healthy"]
        step = len(healthy) // (4 * UNPLUGGED_EACH_TIME)
        first = time_of * UNPLUGGED_EACH_TIME
        for index in healthy[:: step or 1][first : first + UNPLUGGED_EACH_TIME]:
            self.farm.unplug(index)
            self.unplugged[f"m{index}"] = time.time()

    async def _samples(self) -> dict[str, list[float]]:
        """When each miner was scraped, as both stores together have it, deduplicated."""
        response = await self._query(
            self.nodes[0],
            "export",
            **{"match[]": "vnish_up", "start": f"{self.phases[0][1]:.0f}", "reduce_mem_usage": "0"},
        )
        found: dict[str, list[float]] = {}
        async with response:
            response.raise_for_status()
            for line in (await response.text()).splitlines():
                series = json.loads(line)
                times = found.setdefault(series["metric"]["instance"], [])
                # What has no value marks that a scrape failed.
                both = zip(series["timestamps"], series["values"], strict=True)
                times += [stamp / 1000 for stamp, value in both if value is not None]
        return {name: sorted(set(times)) for name, times in found.items()}

    async def _report(self) -> str:
        arguments, interval = self.arguments, self.arguments.interval
        samples = await self._samples()
        missing: dict[str, list[float]] = defaultdict(list)
        hanging: Counter[str] = Counter()
        taken = 0
        for miner, times in samples.items():
            taken += len(times)
            for before, after in itertools.pairwise(times):
                lost = round((after - before) / interval) - 1
                if lost > 0:
                    phase = next(
                        (name for name, _, end in self.phases if before + interval <= end), self.phases[-1][0]
                    )
                    missing[phase] += [after - before - interval] * lost
                    hanging[phase] += lost * (self.farm.kinds[int(miner[1:])] == "hanging")
        silent = [name for name, times in samples.items() if self.phases[-1][2] - times[-1] > 2 * interval]
        kinds = Counter(self.farm.kinds)
        expected = {f"m{i}" for i, kind in enumerate(self.farm.kinds) if kind in ("dead", "hanging")}
        expected |= set(self.unplugged)
        healthy = {f"m{i}" for i, kind in enumerate(self.farm.kinds) if kind == "healthy"} - expected
        told = self.sink.firing(OFFLINE)
        others = self.sink.names()
        del others[OFFLINE], others[WATCHDOG]
        per = 1000 / arguments.miners
        lines = [
            f"{arguments.miners} miners every {interval} s, rules every {arguments.evaluation} s "
            f"({', '.join(f'{count} {kind}' for kind, count in kinds.items())}), without chips; "
            f"two of each service; {os.cpu_count()} cores of {_processor()}, "
            "shared with the simulated miners.",
            "",
            "| | per 1,000 miners |",
            "|---|---|",
            f"| series, with those of rules and of `up` | {self.series * per:,.0f} |",
            f"| samples a second | {self.samples_per_second * per:,.0f} |",
        ]
        for service, (cores, memory) in self.usage.items():
            lines.append(
                f"| {service}, both together | {cores * per:.3f} cores, {memory * per:.0f} MiB "
                f"(in all {cores:.2f} cores, {memory:.0f} MiB) |"
            )
        lines += [
            "",
            "| | samples missing, of hanging miners | longest gap beyond the interval "
            "| whole fleet asked for | no answer | answers that lacked miners, at most |",
            "|---|---|---|---|---|---|",
        ]
        for name, started, ended in self.phases:
            gaps = missing.get(name, [])
            answers = [answer for at, answer in self.answers if started <= at < ended]
            none = Counter(answer for answer in answers if isinstance(answer, str))
            lacking = [answer for answer in answers if isinstance(answer, int) and answer]
            lines.append(
                f"| {name} ({ended - started:.0f} s) | {len(gaps)}, {hanging[name]} "
                f"| {max(gaps, default=0):.0f} s | {len(answers)} | {_counts(none)} "
                f"| {len(lacking)}, {max(lacking, default=0)} |"
            )
        lines += [
            "",
            f"Of {taken} samples of `vnish_up` that were stored for {len(samples)} miners; "
            f"{len(silent)} had none at the end. "
            "Answers lack a miner from a scrape that failed until its next one.",
            "",
            f"`{OFFLINE}`: {len(expected)} due ({len(self.unplugged)} unplugged during the kills), "
            f"{len(expected & told)} told, {len(expected - told)} lost, "
            f"{len(told & healthy)} of healthy miners; "
            f"{self.sink.doubled()} of {len(self.sink.messages)} messages told the same twice.",
            f"Other alerts: {_counts(others)}.",
        ]
        return "\n".join(lines)


def _counts(things: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in things.most_common()) or "none"


def _processor() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text("ascii", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


async def main(arguments: argparse.Namespace) -> int:
    """Run and print."""
    # Ended, it ends what it started: each is in a process group of its own.
    task = asyncio.current_task()
    assert task
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    if arguments.programs:
        os.environ["PATH"] = f"{arguments.programs}{os.pathsep}{os.environ['PATH']}"
    programs = find_programs()
    with contextlib.ExitStack() as opened:
        directory = arguments.keep
        if directory is None:
            directory = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="minefleet-scale-")))
        directory.mkdir(parents=True, exist_ok=True)
        text = await Run(arguments, directory.resolve(), programs)()
    print(text)
    if arguments.write:
        write("scale", text)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--miners", type=int, default=5000)
    parser.add_argument("--interval", type=int, default=60, help="of the scrapes, in seconds, 60 at most")
    parser.add_argument("--evaluation", type=int, default=60, help="interval of the rules, in seconds")
    parser.add_argument("--programs", metavar="DIRECTORY", help="where the programs are, if not on PATH")
    parser.add_argument("--keep", type=Path, metavar="DIRECTORY", help="keep data and logs here")
    parser.add_argument("--write", action="store_true", help="put the report into docs/scale.md")
    sys.exit(asyncio.run(main(parser.parse_args())))
