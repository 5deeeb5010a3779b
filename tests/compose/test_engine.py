"""The compose file in a real engine: ``make compose-test``. It pulls nothing: the images must be there.

The stack runs under a project name of its own, from a copy of the repository's files, with no port published, so
that it meets neither a stack nor secrets that are in use.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from exporter.simulator.simulation import mixed_fleet
from tests.conftest import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PROJECT = "minefleet-trial"
VICTIM = "barn1-l9-01"
SECRETS = {
    "POOL_API_KEY": "simulated-key",
    "SLACK_WEBHOOK_URL": "http://sink:8080/trial-hook",
    "SMTP_PASSWORD": "trial-mail-password",
    "GRAFANA_ADMIN_PASSWORD": "trial-grafana-password",
}
# How long a condition may take to come true before the test gives up; nothing is measured with it.
PATIENCE_SECONDS = 300

pytestmark = pytest.mark.skipif(
    "MINEFLEET_COMPOSE_TEST" not in os.environ, reason="runs containers: make compose-test"
)


def run(*command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="module", autouse=True)
def engine() -> None:
    if os.geteuid() != 0:
        pytest.skip("secrets belong to the containers' users: run this as root")
    if shutil.which("docker") is None:
        pytest.skip("no engine: the docker command is missing")
    if run("docker", "info").returncode:
        pytest.skip("no engine: docker info fails")
    if run("docker", "compose", "version").returncode:
        pytest.skip("no Compose v2: docker compose version fails")
    wanted = {service["image"] for service in COMPOSE["services"].values()}
    missing = [image for image in sorted(wanted) if run("docker", "image", "inspect", image).returncode]
    if missing:
        pytest.skip(f"images are missing: docker compose pull, docker compose build: {', '.join(missing)}")


class Project:
    """A copy of what the compose file mounts, and the stack that runs from it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.profiles = ["demo"]
        for name in ("prometheus", "alertmanager", "grafana"):
            shutil.copytree(ROOT / name, folder / name)
        (folder / "scripts").mkdir()
        for name in ("docker-compose.yml", "config.demo.yaml", "scripts/secrets"):
            shutil.copy(ROOT / name, folder / name)
        services: dict[str, Any] = {
            name: {"ports": []} for name, service in COMPOSE["services"].items() if "ports" in service
        }
        services["sink"] = {
            "image": COMPOSE["services"]["exporter"]["image"],
            "entrypoint": ["python", "/sink.py", SECRETS["SMTP_PASSWORD"]],
            "volumes": [f"{Path(__file__).parent / 'sink.py'}:/sink.py:ro"],
            "healthcheck": {
                "test": [
                    "CMD",
                    "python",
                    "-c",
                    "import socket; socket.create_connection(('127.0.0.1', 8080))",
                ],
                "interval": "2s",
            },
            "networks": ["monitoring"],
        }
        text = yaml.safe_dump({"services": services}).replace("ports: []", "ports: !reset []")
        (folder / "trial.yml").write_text(text)

    def edit(self, name: str, *changes: tuple[str, str]) -> None:
        text = (self.folder / name).read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        (self.folder / name).write_text(text)

    def secrets(self, **values: str) -> None:
        done = run("scripts/secrets", cwd=self.folder, env={"PATH": os.environ["PATH"], **values})
        assert done.returncode == 0, done.stderr

    def compose(
        self, *arguments: str, config: str = "./config.demo.yaml"
    ) -> subprocess.CompletedProcess[str]:
        files = ("-f", "docker-compose.yml", "-f", "trial.yml")
        profiles = [f"--profile={name}" for name in self.profiles]
        environ = {**os.environ, "MINEFLEET_CONFIG": config}
        return run(
            "docker", "compose", "-p", PROJECT, *files, *profiles, *arguments, cwd=self.folder, env=environ
        )

    def mail_to_the_sink(self) -> None:
        self.edit(
            "alertmanager/alertmanager.yml",
            ("smtp.example.org:587", "sink:2525"),
            ("resolve_timeout: 5m", "resolve_timeout: 5m\n  smtp_require_tls: false"),
        )

    def up(self) -> None:
        done = self.compose(
            "up", "--detach", "--wait", "--wait-timeout", str(PATIENCE_SECONDS), "--pull", "never"
        )
        assert done.returncode == 0, done.stderr + self.compose("logs").stdout[-4000:]

    def inside(self, service: str, *command: str) -> str:
        done = self.compose("exec", "-T", service, *command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def inspect(self, service: str) -> dict[str, Any]:
        """What the engine knows of a service's container."""
        [found] = json.loads(run("docker", "inspect", f"{PROJECT}-{service}-1").stdout)
        return found  # type: ignore[no-any-return]

    def get(self, service: str, url: str, *options: str) -> Any:
        return json.loads(self.inside(service, "wget", "-q", "-O", "-", *options, url))

    def query(self, expression: str) -> dict[str, float]:
        """The value for each instance, as Prometheus has it."""
        url = f"http://127.0.0.1:9090/api/v1/query?query={quote(expression)}"
        found = self.get("prometheus", url)["data"]["result"]
        return {one["metric"].get("instance", ""): float(one["value"][1]) for one in found}

    def unplug(self, miner: str) -> None:
        self.inside(
            "simulator",
            "python",
            "-c",
            "import urllib.request as u; u.urlopen(u.Request("
            f"'http://127.0.0.1:10790/{miner}/faults/unplugged', method='POST'))",
        )

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.compose("logs").stdout[-4000:]
            time.sleep(2)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    made = Project(tmp_path)
    yield made
    down = made.compose("down", "--volumes", "--timeout", "5")
    assert down.returncode == 0, down.stderr


def all_miners_are_scraped(project: Project) -> bool:
    return project.query("vnish_up") == {miner.name: 1.0 for miner in mixed_fleet(12)}


def test_the_stack_runs_without_any_secret(project: Project) -> None:
    project.secrets()
    project.up()
    project.until(lambda: all_miners_are_scraped(project))
    down = 'up{job!~"minefleet-(miners|pools)"} == 0'
    project.until(lambda: len(project.query('up{job!~"minefleet-(miners|pools)"}')) == 4)
    assert project.query(down) == {}
    project.unplug(VICTIM)
    alerts = "http://127.0.0.1:9093/api/v2/alerts"
    project.until(
        lambda: any(one["labels"].get("instance") == VICTIM for one in project.get("alertmanager", alerts))
    )
    # The messages cannot be delivered, and that is all.
    project.until(lambda: "Notify attempt failed" in project.compose("logs", "alertmanager").stdout)
    states = [json.loads(line) for line in project.compose("ps", "--format", "json").stdout.splitlines()]
    assert {one["State"] for one in states} == {"running"}
    assert {one["Health"] for one in states} == {"healthy"}


def test_an_alert_is_delivered_with_every_secret(project: Project) -> None:
    project.edit(
        "config.demo.yaml", ("  api_key: simulated-key\n", "  api_key_file: /run/secrets/pool_api_key\n")
    )
    project.mail_to_the_sink()
    project.secrets(**SECRETS)
    project.up()
    project.until(lambda: all_miners_are_scraped(project))
    assert set(project.query("mining_pool_up").values()) == {1.0}
    login = b64encode(f"admin:{SECRETS['GRAFANA_ADMIN_PASSWORD']}".encode()).decode()
    found = project.get(
        "grafana",
        "http://127.0.0.1:3000/api/search?type=dash-db",
        f"--header=Authorization: Basic {login}",
    )
    shipped = [json.loads(file.read_text()) for file in (ROOT / "grafana/dashboards").glob("*.json")]
    assert {one["uid"] for one in found} == {one["uid"] for one in shipped}
    logs = project.compose("logs", "--no-log-prefix", "grafana").stdout.splitlines()
    assert [line for line in logs if "level=error" in line] == []
    project.unplug(VICTIM)

    def delivered() -> bool:
        lines = project.compose("logs", "--no-log-prefix", "sink").stdout.splitlines()
        kinds = {line.split()[0] for line in lines if VICTIM in line}
        assert all(line.split()[1] == "/trial-hook" for line in lines if line.startswith("slack"))
        return kinds == {"slack", "mail"}

    project.until(delivered)
    logs = project.compose("logs").stdout
    assert [secret for secret in SECRETS.values() if secret in logs.replace("slack /trial-hook", "")] == []


def test_each_service_comes_back_when_it_is_killed(project: Project) -> None:
    # The digest too, which ends without somewhere to send it.
    project.profiles.append("digest")
    project.mail_to_the_sink()
    project.secrets(**SECRETS)
    project.up()
    project.until(lambda: all_miners_are_scraped(project))
    for service in COMPOSE["services"]:
        before = project.inspect(service)
        # As when the machine runs out of memory; the engine's own kill would count as a wish.
        os.kill(before["State"]["Pid"], signal.SIGKILL)

        def back(service: str = service, killed: int = before["State"]["Pid"]) -> bool:
            state = project.inspect(service)["State"]
            return state["Pid"] not in (0, killed) and state["Health"]["Status"] == "healthy"

        project.until(back)
        asked = time.time()

        def scraped_since(asked: float = asked) -> bool:
            found = project.query("timestamp(vnish_up) * vnish_up")
            return len(found) == 12 and min(found.values()) > asked

        project.until(scraped_since)


def test_an_upgrade_keeps_the_data(project: Project) -> None:
    project.secrets()
    project.up()
    project.until(lambda: all_miners_are_scraped(project))
    before = time.time()
    silence = {
        "matchers": [{"name": "instance", "value": VICTIM, "isRegex": False}],
        "startsAt": "2020-01-01T00:00:00Z",
        "endsAt": "2100-01-01T00:00:00Z",
        "createdBy": "trial",
        "comment": "kept",
    }
    project.inside(
        "simulator",
        "python",
        "-c",
        "import urllib.request as u; u.urlopen(u.Request('http://alertmanager:9093/api/v2/silences',"
        f" {json.dumps(silence)!r}.encode(), {{'Content-Type': 'application/json'}}))",
    )
    image = COMPOSE["services"]["exporter"]["image"]
    newer = "minefleet-exporter:trial-upgrade"
    assert run("docker", "tag", image, newer).returncode == 0
    try:
        project.edit("docker-compose.yml", (f"image: {image}", f"image: {newer}"))
        project.compose("up", "--detach", "--pull", "never", "--force-recreate")
        project.up()
        assert project.inspect("exporter")["Config"]["Image"] == newer
        project.until(lambda: all_miners_are_scraped(project))
        kept = project.query(f"vnish_up @ {before:.3f}")
        assert kept == {miner.name: 1.0 for miner in mixed_fleet(12)}
        silences = project.get("alertmanager", "http://127.0.0.1:9093/api/v2/silences")
        assert [one["comment"] for one in silences] == ["kept"]
    finally:
        project.compose("down", "--timeout", "5")
        run("docker", "rmi", newer)


def test_a_forgotten_file_stops_the_start_with_its_name(project: Project) -> None:
    project.secrets()
    done = project.compose("up", "--detach", "--pull", "never", config="./forgotten.yaml")
    assert done.returncode != 0
    assert f"bind source path does not exist: {project.folder}/forgotten.yaml" in done.stderr
    assert not (project.folder / "forgotten.yaml").exists()


def test_a_wrong_configuration_stops_the_rest(project: Project) -> None:
    project.secrets()
    (project.folder / "wrong.yaml").write_text("fleet: {minerz: []}\n")
    done = project.compose("up", "--detach", "--pull", "never", config="./wrong.yaml")
    assert done.returncode != 0
    assert "dependency failed to start" in done.stderr
    assert "fleet.minerz: unknown key" in project.compose("logs", "exporter").stdout
