"""The shipped Prometheus and Alertmanager files, run by the real programs on loopback.

The files are used as they are, but for addresses, and for what the caller shortens: a demo and a test
cannot wait five minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import yaml

PROGRAMS = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}
_ALIASES = {"alertmanager": ("prometheus-alertmanager", "alertmanager"), "prometheus": ("prometheus",)}


class StackError(Exception):
    """Something the stack needs is missing or does not start; the text says what to do."""


def find_program(name: str) -> str:
    """The path of a program, under the name Debian or upstream gives it.

    Raises:
        StackError: it is not installed.
    """
    for alias in _ALIASES[name]:
        path = shutil.which(alias) or shutil.which(alias, path=Path(sys.executable).parent)
        if path:
            return path
    raise StackError(f"{name} is not installed: apt-get install {PROGRAMS[name]}")


def find_grafana() -> list[str]:
    """The command of Grafana's server; empty if there is none."""
    path = shutil.which("grafana")
    return [path, "server"] if path else []


def bound_to_us(program: str) -> list[str]:
    """A command for *program* that ends when this process does, however that ends."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM", program] if setpriv else [program]


async def wait_ready(name: str, process: asyncio.subprocess.Process, url: str) -> None:
    """Wait until *url* answers.

    Raises:
        StackError: the process ended instead.
    """
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        while process.returncode is None:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.1)
    raise StackError(f"{name} did not start")


def free_port(address: str = "127.0.0.1") -> int:
    """A port nobody listens at now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


def require_free(address: str, port: int, what: str) -> None:
    """Check that a port can be used.

    Raises:
        StackError: something listens there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise StackError(
                f"{address}:{port}, which {what} needs, cannot be used: {error.strerror}"
            ) from None


class Stack:
    """Prometheus and Alertmanager of the repository at *root*, working in *directory*.

    With a *grafana_port* Grafana runs too, if it is installed, and wants no login. *slack_url* and *smtp*
    (``host:port``) are where notifications go instead; without *smtp* no e-mail is sent. *edit_prometheus*
    and *edit_alertmanager* change the loaded files before they are written.
    """

    def __init__(
        self,
        root: Path,
        directory: Path,
        *,
        exporter: str,
        slack_url: str,
        smtp: str | None = None,
        prometheus_port: int = 0,
        alertmanager_port: int = 0,
        grafana_port: int = 0,
        edit_prometheus: Callable[[dict[str, Any]], None] | None = None,
        edit_alertmanager: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.root = root
        self.directory = directory
        self.prometheus = f"127.0.0.1:{prometheus_port or free_port()}"
        self.alertmanager = f"127.0.0.1:{alertmanager_port or free_port()}"
        self.grafana = f"127.0.0.1:{grafana_port}" if grafana_port and find_grafana() else None
        self._addresses = {
            "exporter:10777": exporter,
            "alertmanager:9093": self.alertmanager,
            "localhost:9090": self.prometheus,
        }
        self._slack_url = slack_url
        self._smtp = smtp
        self._edit_prometheus = edit_prometheus
        self._edit_alertmanager = edit_alertmanager
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    async def start(self) -> None:
        """Start both and wait until they are ready.

        Raises:
            StackError: a program is missing or does not become ready.
        """
        commands = self._commands()
        for name, command in commands.items():
            log = (self.directory / f"{name}.log").open("wb")
            with log:
                self._processes[name] = await asyncio.create_subprocess_exec(
                    *bound_to_us(command[0]),
                    *command[1:],
                    stdout=log,
                    stderr=log,
                    cwd=self.directory,
                    start_new_session=True,
                )
        await self._ready("alertmanager", f"http://{self.alertmanager}/-/ready")
        await self._ready("prometheus", f"http://{self.prometheus}/-/ready")
        if self.grafana:
            await self._ready("grafana", f"http://{self.grafana}/api/health")

    async def stop(self) -> None:
        """Stop both; forcibly if they do not."""
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        for process in self._processes.values():
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        self._processes.clear()

    def _commands(self) -> dict[str, list[str]]:
        prometheus_file = self._write("prometheus.yml", self._prometheus_config())
        alertmanager_file = self._write("alertmanager.yml", self._alertmanager_config())
        commands = {
            "alertmanager": [
                find_program("alertmanager"),
                f"--config.file={alertmanager_file}",
                f"--web.listen-address={self.alertmanager}",
                f"--storage.path={self.directory / 'alertmanager-data'}",
                "--cluster.listen-address=",
            ],
            "prometheus": [
                find_program("prometheus"),
                f"--config.file={prometheus_file}",
                f"--web.listen-address={self.prometheus}",
                f"--storage.tsdb.path={self.directory / 'prometheus-data'}",
                "--web.enable-lifecycle",
            ],
        }
        if self.grafana:
            commands["grafana"] = self._grafana_command()
        return commands

    def _grafana_command(self) -> list[str]:
        """Grafana with the shipped dashboards and data source, which asks nobody outside."""
        folder = self.root / "grafana"
        replaced = {
            "/var/lib/grafana/dashboards": str(folder / "dashboards"),
            "http://prometheus:9090": f"http://{self.prometheus}",
        }
        for source in sorted(folder.glob("provisioning/*/*.yml")):
            text = source.read_text("utf-8")
            for shipped, local in replaced.items():
                text = text.replace(shipped, local)
            target = self.directory / source.relative_to(self.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, "utf-8")
        program, *words = find_grafana()
        # A package puts its pages there; one unpacked by hand has them above bin/.
        homes = (Path("/usr/share/grafana"), Path(program).resolve().parent.parent)
        home = next((path for path in homes if (path / "public").is_dir()), None)
        host, _, port = str(self.grafana).partition(":")
        settings = {
            "server.http_addr": host,
            "server.http_port": port,
            "paths.data": self.directory / "grafana-data",
            "paths.logs": self.directory / "grafana-data",
            "paths.plugins": self.directory / "grafana-data/plugins",
            "paths.provisioning": self.directory / "grafana/provisioning",
            "auth.anonymous.enabled": "true",
            "analytics.reporting_enabled": "false",
            "analytics.check_for_updates": "false",
            "analytics.check_for_plugin_updates": "false",
            "plugins.preinstall_disabled": "true",
            "plugins.public_key_retrieval_disabled": "true",
        }
        return [
            program,
            *words,
            *([f"--homepath={home}"] if home else []),
            *(f"cfg:{name}={value}" for name, value in settings.items()),
        ]

    def _write(self, name: str, data: Mapping[str, Any]) -> Path:
        path = self.directory / name
        path.write_text(yaml.safe_dump(data, sort_keys=False), "utf-8")
        return path

    def _prometheus_config(self) -> dict[str, Any]:
        folder = self.root / "prometheus"
        config = self._replaced(yaml.safe_load((folder / "prometheus.yml").read_text("utf-8")))
        config["rule_files"] = [str(folder / pattern) for pattern in config["rule_files"]]
        # Runs in the compose file only.
        config["scrape_configs"] = [job for job in config["scrape_configs"] if job["job_name"] != "node"]
        if self._edit_prometheus:
            self._edit_prometheus(config)
        return config  # type: ignore[no-any-return]

    def _alertmanager_config(self) -> dict[str, Any]:
        folder = self.root / "alertmanager"
        config = self._replaced(yaml.safe_load((folder / "alertmanager.yml").read_text("utf-8")))
        config["templates"] = [str(folder / pattern) for pattern in config["templates"]]
        config["global"] = {"resolve_timeout": "5m", "slack_api_url": self._slack_url}
        if self._smtp:
            config["global"] |= {
                "smtp_smarthost": self._smtp,
                "smtp_from": "minefleet@example.org",
                "smtp_require_tls": False,
            }
        else:
            for receiver in config["receivers"]:
                receiver.pop("email_configs", None)
        if self._edit_alertmanager:
            self._edit_alertmanager(config)
        return config  # type: ignore[no-any-return]

    def _replaced(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._replaced(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._replaced(item) for item in value]
        if isinstance(value, str):
            for shipped, local in self._addresses.items():
                value = value.replace(shipped, local)
        return value

    async def _ready(self, name: str, url: str) -> None:
        try:
            await wait_ready(name, self._processes[name], url)
        except StackError as error:
            lines = (self.directory / f"{name}.log").read_text("utf-8", "replace").splitlines()
            raise StackError(f"{error}: {lines[-1] if lines else 'it said nothing'}") from None
