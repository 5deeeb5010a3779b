"""The two machines of deploy/scale, and the examples for other scrapers, checked by the programs they are for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter import __version__
from tests.conftest import ROOT

FOLDER = ROOT / "deploy/scale"
SERVICES: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yml").read_text())["services"]
ADDRESSES = {"HERE": "127.100.0.1", "THERE": "127.100.0.2"}


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not on PATH; Debian has it in the package victoria-metrics")
    return path


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **ADDRESSES},
    )


@pytest.mark.parametrize("path", ["prometheus/examples/vmagent.yml", "deploy/scale/vmagent.yml"])
def test_vmagent_takes_its_configuration(path: str, tmp_path: Path) -> None:
    vmagent = program("vmagent")

    def check(file: Path) -> subprocess.CompletedProcess[str]:
        return run(vmagent, "-dryRun", "-promscrape.config.strictParse", f"-promscrape.config={file}")

    done = check(ROOT / path)
    assert done.returncode == 0, done.stderr
    wrong = tmp_path / "vmagent.yml"
    wrong.write_text((ROOT / path).read_text().replace("http_sd_configs", "http_sd_config"))
    assert check(wrong).returncode != 0


def test_vmalert_takes_the_rules() -> None:
    done = run(program("vmalert"), "-dryRun", f"-rule={ROOT}/prometheus/rules/*.yml")
    if "unknown fields in rule: keep_firing_for" in done.stderr:
        pytest.skip("this vmalert is older than keep_firing_for, which the rules use")
    assert done.returncode == 0, done.stderr


def test_vmauth_takes_its_configuration() -> None:
    vmauth = program("vmauth")
    if "-loadBalancingPolicy" not in (helped := run(vmauth, "-help")).stdout + helped.stderr:
        pytest.skip("this vmauth is older than load_balancing_policy, which the configuration uses")
    done = run(vmauth, "-dryRun", f"-auth.config={FOLDER / 'vmauth.yml'}")
    assert done.returncode == 0, done.stderr


def test_the_compose_file_conforms_to_the_specification() -> None:
    done = run(
        *(sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"),
        FOLDER / "compose.yml",
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_images_are_pinned_and_what_is_mounted_is_there() -> None:
    for name, service in SERVICES.items():
        assert re.search(r":v?\d+\.\d+\.\d+(-cluster)?$", service["image"]), name
        for volume in service.get("volumes", ()):
            if isinstance(volume, dict):
                assert volume["read_only"] is True
                assert volume["bind"] == {"create_host_path": False}
                if not volume["source"].startswith("$"):
                    assert (FOLDER / volume["source"]).exists(), volume["source"]
    assert SERVICES["exporter"]["image"] == f"minefleet-exporter:{__version__}"
    single = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert SERVICES["alertmanager"]["image"] == single["alertmanager"]["image"]


def test_what_scrapes_comes_before_what_can_wait() -> None:
    scrapes = {"exporter", "vmauth", "vmagent"}
    shares = {name: service.get("cpu_shares", 1024) for name, service in SERVICES.items()}
    assert min(shares[name] for name in scrapes) > max(shares[name] for name in set(SERVICES) - scrapes)


def test_each_machine_has_a_number_and_the_others_address() -> None:
    def settings(number: int) -> dict[str, str]:
        lines = (FOLDER / f"node{number}.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines if not line.startswith("#"))  # type: ignore[misc]

    first, second = settings(0), settings(1)
    assert (first["NODE"], second["NODE"]) == ("0", "1")
    assert (first["HERE"], first["THERE"]) == (second["THERE"], second["HERE"])


def ports(service: str) -> set[str]:
    return set(re.findall(r"\$\{HERE\}:(\d+)", " ".join(SERVICES[service]["command"])))


def test_everything_asks_where_something_listens() -> None:
    listening = set().union(
        *(
            re.findall(r"(?:[lL]istenAddr|Addr|listen-address)=\$\{HERE\}:(\d+)", " ".join(one["command"]))
            for one in SERVICES.values()
        )
    )
    asked = set().union(*map(ports, SERVICES))
    for name in ("vmauth.yml", "vmagent.yml"):
        asked |= set(re.findall(r"%\{(?:HERE|THERE)\}:(\d+)", (FOLDER / name).read_text()))
    assert asked == listening
    assert {"8400", "8401", "8427", "10777"} <= asked


def test_this_machine_comes_first_and_the_other_answers_when_it_does_not() -> None:
    [user] = yaml.safe_load((FOLDER / "vmauth.yml").read_text()).values()
    assert user["load_balancing_policy"] == "first_available"
    for route in user["url_map"]:
        here, there = route["url_prefix"]
        assert there == here.replace("HERE", "THERE")


@pytest.mark.parametrize("path", ["prometheus/examples/alloy.alloy"])
def test_alloys_jobs_are_those_the_rules_look_for(path: str) -> None:
    text = (ROOT / path).read_text()
    components = re.findall(r'^(\S+) "(\w+)" \{', text, re.MULTILINE)
    assert text.count("{") == text.count("}")
    assert {name for kind, name in components if kind == "prometheus.scrape"} == {
        "minefleet_miners",
        "minefleet_pools",
        "minefleet_exporter",
    }
    assert set(re.findall(r'job_name\s*= "([^"]+)"', text)) == {
        "minefleet-miners",
        "minefleet-pools",
        "minefleet-exporter",
    }
    for used in re.findall(r"(discovery\.http|prometheus\.remote_write)\.(\w+)\.", text):
        assert used in components
