"""The compose file against the Compose specification, and every file it mounts."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from exporter import __version__
from exporter.cli.demo import MINER_PORT, POOL_PORT, demo_configuration
from exporter.config.load import load
from exporter.simulator.simulation import Simulation, mixed_fleet
from tests.conftest import ROOT

COMPOSE = ROOT / "docker-compose.yml"
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]


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
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            if source.startswith("./"):
                assert volume.endswith(":ro")
                assert (ROOT / source).exists(), source


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
    declared = yaml.safe_load(COMPOSE.read_text())["secrets"]
    assert {name for service in SERVICES.values() for name in service.get("secrets", [])} == set(declared)
    assert all(secret.keys() == {"environment"} for secret in declared.values())


def test_the_names_in_the_configuration_files_are_services() -> None:
    for text in (
        (ROOT / "prometheus/prometheus.yml").read_text(),
        (ROOT / "grafana/provisioning/datasources/prometheus.yml").read_text(),
    ):
        for host in re.findall(r"([a-z-]+):(?:10777|9093|9100|9090)", text):
            assert host in SERVICES or host == "localhost"


def test_the_demos_configuration_is_the_simulators() -> None:
    simulation = Simulation(mixed_fleet(12), port=MINER_PORT, pool_port=POOL_PORT)
    written = yaml.safe_load((ROOT / "config.demo.yaml").read_text())
    assert written == demo_configuration(simulation)


def test_the_example_for_compose_is_good_too(tmp_path: Path) -> None:
    lines = (ROOT / "config.example.yaml").read_text().splitlines()
    lines.remove('  base_url: "http://localhost:3000"')
    key = tmp_path / "key"
    key.write_text("secret")
    (tmp_path / "config.yaml").write_text(
        "\n".join(re.sub(r"^  # (base_url|api_key_file):", r"  \1:", line) for line in lines).replace(
            "/run/secrets/pool_api_key", str(key)
        )
    )
    environ = {"PROHASHING_SERVER_HOST": "relay", "PROHASHING_SERVER_PORT": "3000"}
    [account] = load(tmp_path / "config.yaml", environ).pools
    assert account.settings.model_dump()["base_url"] == "http://relay:3000"


def test_both_example_configurations_are_good() -> None:
    for name in ("config.example.yaml", "config.demo.yaml"):
        assert load(ROOT / name, {}).fleet.all_miners()
