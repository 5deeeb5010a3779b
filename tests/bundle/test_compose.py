"""The compose file against the Compose specification, and every file it mounts."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter import __version__
from exporter.cli.demo import MINER_PORT, POOL_KIND, POOL_PORT, demo_configuration
from exporter.config.load import load
from exporter.simulator.simulation import Simulation, mixed_fleet
from tests.conftest import ROOT

COMPOSE = ROOT / "docker-compose.yml"
DECLARED: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())
SERVICES: dict[str, Any] = DECLARED["services"]
# The user each image runs as; the exporter's is in the Dockerfile.
USERS = {"exporter": 10777, "alertmanager": 65534, "digest": 65534, "grafana": 472}


def binds() -> list[dict[str, Any]]:
    """The files and folders of this machine that are mounted."""
    volumes = [volume for service in SERVICES.values() for volume in service.get("volumes", [])]
    assert all(isinstance(volume, dict) or not volume.startswith((".", "/", "$")) for volume in volumes), (
        "the short form makes a directory where a file is missing"
    )
    return [volume for volume in volumes if isinstance(volume, dict)]


def test_it_conforms_to_the_specification() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", COMPOSE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_images_are_pinned_to_releases() -> None:
    for service in SERVICES.values():
        assert re.search(r":v?\d+\.\d+\.\d+$", service["image"]), service["image"]
    assert SERVICES["exporter"]["image"].endswith(f":{__version__}")


def test_every_mounted_file_is_in_the_repository_and_read_only() -> None:
    for bind in binds():
        assert bind["type"] == "bind"
        assert bind["read_only"] is True
        if bind["source"].startswith("./"):
            assert (ROOT / bind["source"]).exists(), bind["source"]


def test_a_forgotten_file_does_not_become_a_directory() -> None:
    assert any("MINEFLEET_CONFIG" in bind["source"] for bind in binds())
    assert all(bind["bind"]["create_host_path"] is False for bind in binds())


def test_a_service_waits_until_what_it_needs_is_healthy() -> None:
    assert SERVICES["grafana"]["depends_on"].keys() == {"prometheus"}
    assert SERVICES["prometheus"]["depends_on"].keys() == {"exporter", "alertmanager"}
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            # The simulator lives in the exporter's network: that it was started is enough.
            sharing = service.get("network_mode") == f"service:{needed}"
            assert how["condition"] == ("service_started" if sharing else "service_healthy"), name


def test_every_service_tells_whether_it_is_healthy() -> None:
    # `docker compose up --wait` fails for one that does not.
    for name, service in SERVICES.items():
        if name == "exporter":
            assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()
        elif name == "digest":
            assert "http://prometheus:9090/" in service["healthcheck"]["test"][-1]
        else:
            # BusyBox tries one address only, and localhost may be ::1.
            assert "http://127.0.0.1:" in service["healthcheck"]["test"][-1], name


def test_the_relays_port_stays_free() -> None:
    published = [port.split(":")[1] for service in SERVICES.values() for port in service.get("ports", [])]
    assert len(set(published)) == len(published)
    assert SERVICES["exporter"]["environment"]["PROHASHING_SERVER_PORT"].endswith(":-3000}")
    assert "3000" not in published


def test_grafana_is_where_the_alerts_link_to() -> None:
    [port] = SERVICES["grafana"]["ports"]
    address = f"http://localhost:{port.split(':')[1]}"
    assert SERVICES["grafana"]["environment"]["GF_SERVER_ROOT_URL"] == f"{address}/"
    template = (ROOT / "alertmanager/templates/minefleet.tmpl").read_text()
    assert f'{{{{ define "minefleet.grafana" }}}}{address}{{{{ end }}}}' in template


def test_grafana_asks_nobody_outside() -> None:
    environment = SERVICES["grafana"]["environment"]
    off = (
        "ANALYTICS_REPORTING_ENABLED",
        "ANALYTICS_CHECK_FOR_UPDATES",
        "ANALYTICS_CHECK_FOR_PLUGIN_UPDATES",
        "ANALYTICS_FEEDBACK_LINKS_ENABLED",
        "NEWS_NEWS_FEED_ENABLED",
        "PLUGINS_PLUGIN_ADMIN_ENABLED",
        "SNAPSHOTS_EXTERNAL_ENABLED",
    )
    disabled = (
        "PLUGINS_PREINSTALL_DISABLED",
        "PLUGINS_PUBLIC_KEY_RETRIEVAL_DISABLED",
        "SECURITY_DISABLE_GRAVATAR",
    )
    assert {environment[f"GF_{name}"] for name in off} == {"false"}
    assert {environment[f"GF_{name}"] for name in disabled} == {"true"}


def test_services_are_hardened_and_published_on_this_machine_only() -> None:
    for service in SERVICES.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_secrets_are_where_their_readers_look() -> None:
    alertmanager = (ROOT / "alertmanager/alertmanager.yml").read_text()
    for name in SERVICES["alertmanager"]["secrets"]:
        assert f"/run/secrets/{name}" in alertmanager
    example = (ROOT / "config.example.yaml").read_text()
    for name in SERVICES["exporter"]["secrets"]:
        assert f"/run/secrets/{name}" in example
    for name in SERVICES["exporter"]["environment"]:
        assert f"${{{name}}}" in example
    digest = SERVICES["digest"]
    assert digest["secrets"] == SERVICES["alertmanager"]["secrets"]
    assert digest["user"] == str(USERS["alertmanager"])
    used = {name for service in SERVICES.values() for name in service.get("secrets", [])}
    assert used == set(DECLARED["secrets"])


def test_secrets_are_files() -> None:
    # A container with a read-only root takes no other kind: the engine mounts a file, and copies the rest in.
    for name, secret in DECLARED["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}
    assert "/secrets/" in (ROOT / ".gitignore").read_text().splitlines()


MakeSecrets = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def make_secrets(tmp_path: Path) -> MakeSecrets:
    """scripts/secrets in a checkout of its own, with nothing but the given variables."""
    if os.geteuid() != 0:
        pytest.skip("giving files to other users needs root")
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/secrets", tmp_path / "scripts")

    def run(**environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["scripts/secrets"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], **environ},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_the_script_makes_every_secret_for_the_one_who_reads_it(
    tmp_path: Path, make_secrets: MakeSecrets
) -> None:
    assert make_secrets().returncode == 0
    assert {path.name for path in (tmp_path / "secrets").iterdir()} == set(DECLARED["secrets"])
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert f"--uid {USERS['exporter']} " in (ROOT / "Dockerfile").read_text()
    for service, definition in SERVICES.items():
        for name in definition.get("secrets", []):
            made = (tmp_path / "secrets" / name).stat()
            assert made.st_uid == USERS[service], name
            assert stat.S_IMODE(made.st_mode) == 0o400


def test_a_secret_nobody_gave_is_empty_but_grafanas(tmp_path: Path, make_secrets: MakeSecrets) -> None:
    done = make_secrets(SLACK_WEBHOOK_URL="http://127.0.0.1/hook")
    texts = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    password = texts.pop("grafana_admin_password")
    assert re.fullmatch(r"[0-9a-f]{32}", password)
    assert password not in done.stdout + done.stderr
    # And what that means is said, of each that is empty.
    assert "secrets/smtp_password is empty: no message goes by e-mail" in done.stdout
    assert "secrets/pool_api_key is empty" in done.stdout
    assert "slack_webhook_url" not in done.stdout
    assert texts == {"pool_api_key": "", "smtp_password": "", "slack_webhook_url": "http://127.0.0.1/hook"}


def test_a_second_run_changes_only_what_is_given(tmp_path: Path, make_secrets: MakeSecrets) -> None:
    make_secrets(SLACK_WEBHOOK_URL="http://127.0.0.1/old", POOL_API_KEY="k%y \\n")
    hook = tmp_path / "secrets/slack_webhook_url"
    inode, password = hook.stat().st_ino, (tmp_path / "secrets/grafana_admin_password").read_text()
    make_secrets(SLACK_WEBHOOK_URL="http://127.0.0.1/new")
    assert hook.read_text() == "http://127.0.0.1/new"
    # A container that runs has mounted this file, not its name.
    assert hook.stat().st_ino == inode
    assert (tmp_path / "secrets/pool_api_key").read_text() == "k%y \\n"
    assert (tmp_path / "secrets/grafana_admin_password").read_text() == password


def test_a_directory_in_a_secrets_place_is_named(tmp_path: Path, make_secrets: MakeSecrets) -> None:
    (tmp_path / "secrets/smtp_password").mkdir(parents=True)
    done = make_secrets()
    assert done.returncode == 1
    assert done.stderr.startswith("secrets: secrets/smtp_password is a directory")


def test_the_names_in_the_configuration_files_are_services() -> None:
    for text in (
        (ROOT / "prometheus/prometheus.yml").read_text(),
        (ROOT / "grafana/provisioning/datasources/prometheus.yml").read_text(),
    ):
        for host in re.findall(r"([a-z-]+):(?:10777|9093|9100|9090)", text):
            assert host in SERVICES or host == "localhost"


def test_the_demos_configuration_is_the_simulators() -> None:
    simulation = Simulation(mixed_fleet(12), port=MINER_PORT, pool_port=POOL_PORT, pools=(POOL_KIND,))
    written = yaml.safe_load((ROOT / "config.demo.yaml").read_text())
    assert written == demo_configuration(simulation)


def test_the_example_for_compose_is_good_too(tmp_path: Path) -> None:
    lines = (ROOT / "config.example.yaml").read_text().splitlines()
    [shown] = [line for line in lines if line.startswith("  - {type: litecoinpool")]
    lines.remove(shown)
    key = tmp_path / "key"
    key.write_text("secret")
    text = "\n".join(re.sub(r"^  # - {type: litecoinpool", "  - {type: litecoinpool", line) for line in lines)
    text = re.sub(r"^# (market:)", r"\1", text, flags=re.MULTILINE)
    text = re.sub(r"^  # (tariff:)", r"  \1", text, flags=re.MULTILINE)
    (tmp_path / "config.yaml").write_text(text.replace("/run/secrets/pool_api_key", str(key)))
    config = load(tmp_path / "config.yaml", {})
    [account] = config.pools
    assert account.settings.model_dump()["api_key_file"].get_secret_value() == "secret"
    assert config.market is not None
    assert config.root.economics.tariff


def test_both_example_configurations_are_good() -> None:
    for name in ("config.example.yaml", "config.demo.yaml"):
        assert load(ROOT / name, {}).fleet.all_miners()
