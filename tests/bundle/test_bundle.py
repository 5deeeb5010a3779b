"""``minefleet-exporter bundle``: what it writes is what the repository has, fitted, and good to the real programs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from exporter.bundle import ROOT as BUNDLE
from exporter.cli import main
from tests.conftest import ROOT


def run(*command: object) -> str:
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def check(folder: Path) -> None:
    run("promtool", "check", "config", folder / "prometheus/prometheus.yml")
    run("amtool", "check-config", folder / "alertmanager/alertmanager.yml")
    for path in folder.glob("grafana/dashboards/*.json"):
        json.loads(path.read_text())


def test_without_flags_it_is_what_is_shipped_for_one_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", str(tmp_path)]) == 0
    assert "Nobody is told of alerts yet" in capsys.readouterr().out
    check(tmp_path)
    for folder, pattern in (("prometheus/rules", "*.yml"), ("grafana/dashboards", "*.json")):
        written = {path.name: path.read_text() for path in (tmp_path / folder).glob("*")}
        assert written == {path.name: path.read_text() for path in (ROOT / folder).glob(pattern)}
    jobs = yaml.safe_load((tmp_path / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    assert [job["job_name"] for job in jobs] == [
        "minefleet-miners",
        "minefleet-pools",
        "minefleet-exporter",
        "prometheus",
        "alertmanager",
    ]
    assert jobs[0]["http_sd_configs"][0]["url"] == "http://127.0.0.1:10777/sd/miners"
    receivers = yaml.safe_load((tmp_path / "alertmanager/alertmanager.yml").read_text())["receivers"]
    assert {key for receiver in receivers for key in receiver} == {"name"}


def test_each_flag_is_where_it_belongs(tmp_path: Path) -> None:
    flags = {
        "exporter": "barn.example:10778",
        "prometheus": "prom.example:9091",
        "alertmanager": "am.example:9094",
        "grafana-url": "https://grafana.example/g/",
        "exporter-url": "https://barn.example/e",
        "jobs": "barn",
        "data-source": "mimir",
        "dashboards": "/srv/dashboards",
        "slack-channel": "#night",
        "slack-webhook-file": "/run/hook",
        "mail-to": "owner@example.net",
        "mail-from": "barn@example.net",
        "smtp": "smtp.example.net:587",
        "smtp-user": "barn",
        "smtp-password-file": "/run/mail",
        "dead-mans-switch": "https://switch.example.org/ping/7",
    }
    words = [word for name, value in flags.items() for word in (f"--{name}", value)]
    assert main(["bundle", str(tmp_path), *words]) == 0
    check(tmp_path)
    text = {path.name: path.read_text() for path in tmp_path.glob("*/**/*") if path.is_file()}
    prometheus, alertmanager = text["prometheus.yml"], text["alertmanager.yml"]
    # Both the data source's and Prometheus' own file are called prometheus.yml.
    source = (tmp_path / "grafana/provisioning/datasources/prometheus.yml").read_text()
    prometheus = (tmp_path / "prometheus/prometheus.yml").read_text()
    assert "job_name: barn-miners" in prometheus
    assert "http://barn.example:10778/sd/pools" in prometheus
    assert "am.example:9094" in prometheus
    assert 'job=~"barn-' in text["minefleet.alerts.yml"]
    assert 'job=~"minefleet-' not in text["minefleet.alerts.yml"]
    assert "https://grafana.example/g{{" in text["minefleet.tmpl"]
    assert "https://barn.example/e/{{" in text["minefleet.tmpl"]
    assert "localhost" not in prometheus + alertmanager + text["minefleet.tmpl"]
    config = yaml.safe_load(alertmanager)
    assert config["global"] == {
        "resolve_timeout": "5m",
        "slack_api_url_file": "/run/hook",
        "smtp_smarthost": "smtp.example.net:587",
        "smtp_from": "barn@example.net",
        "smtp_auth_username": "barn",
        "smtp_auth_password_file": "/run/mail",
    }
    assert [
        one["channel"] for receiver in config["receivers"] for one in receiver.get("slack_configs", [])
    ] == [
        "#night",
        "#night",
    ]
    assert config["receivers"][1]["email_configs"][0]["to"] == "owner@example.net"
    assert [one for one in config["receivers"] if "webhook_configs" in one] == [
        {
            "name": "dead-mans-switch",
            "webhook_configs": [{"url": "https://switch.example.org/ping/7", "send_resolved": False}],
        }
    ]
    assert "uid: mimir" in source
    assert "url: http://prom.example:9091" in source
    assert "path: /srv/dashboards" in text["minefleet.yml"]
    variables = json.loads(text["minefleet-fleet.json"])["templating"]["list"]
    assert variables[0]["current"] == {"text": "mimir", "value": "mimir"}


def test_without_a_dead_mans_switch_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", str(tmp_path / "a"), "--mail-to", "owner@example.net"]) == 0
    assert "Nobody is told when all of this is down: --dead-mans-switch." in capsys.readouterr().out
    assert (
        main(
            [
                "bundle",
                str(tmp_path / "b"),
                "--mail-to",
                "o@example.net",
                "--dead-mans-switch",
                "http://s.example/",
            ]
        )
        == 0
    )
    assert "Nobody" not in capsys.readouterr().out


def test_it_writes_over_nothing_unless_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", str(tmp_path)]) == 0
    rules = tmp_path / "prometheus/rules/minefleet.alerts.yml"
    rules.write_text("mine")
    assert main(["bundle", str(tmp_path)]) == 2
    assert f"{rules}: is there already" in capsys.readouterr().err
    assert rules.read_text() == "mine"
    assert main(["bundle", str(tmp_path), "--force"]) == 0
    assert rules.read_text() != "mine"


@pytest.mark.parametrize(
    ("flag", "value"),
    [
        ("--exporter", "here"),
        ("--grafana-url", 'http://x"{{ end }}'),
        ("--jobs", 'a"b'),
        ("--slack-channel", "two words"),
        ("--mail-to", "nobody"),
        ("--dead-mans-switch", "healthchecks"),
        ("--data-source", "a: b"),
    ],
)
def test_a_value_that_cannot_be_one_is_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str, value: str
) -> None:
    assert main(["bundle", str(tmp_path / "new"), flag, value]) == 2
    err = capsys.readouterr().err
    assert re.fullmatch(rf"{flag}: expected [A-Z:]+, found .*\n", err)
    assert not (tmp_path / "new").exists()


def test_the_wheel_has_it_all(tmp_path: Path) -> None:
    copy = tmp_path / "checkout"
    for name in ("exporter", "prometheus", "alertmanager", "grafana"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"),
        *("--disable-pip-version-check", "--wheel-dir", tmp_path, copy),
    )
    [wheel] = tmp_path.glob("*.whl")
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(unpacked)
    folder = unpacked / "exporter/bundle"
    for pattern in (
        "prometheus/prometheus.yml",
        "prometheus/rules/*.yml",
        "alertmanager/alertmanager.yml",
        "alertmanager/templates/*",
        "grafana/dashboards/*",
        "grafana/provisioning/*/*",
    ):
        shipped = {str(path.relative_to(BUNDLE)): path.read_bytes() for path in BUNDLE.glob(pattern)}
        assert shipped
        assert shipped == {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob(pattern)}
    # What is no part of it stays out: tests, examples, and the source of the dashboards.
    assert not [*folder.glob("**/*.test.yml"), *folder.glob("**/source"), *folder.glob("**/examples")]
    done = run(sys.executable, "-c", BY_WHEEL.format(path=str(unpacked), folder=str(tmp_path / "made")))
    assert "rules" in done or "prometheus" in done
    check(tmp_path / "made")


# The editable installation of this environment must not answer in the wheel's place.
BY_WHEEL = """
import sys
sys.path.insert(0, {path!r})
import exporter
assert exporter.__path__[0].startswith({path!r}), exporter.__path__
from exporter.cli import main
sys.exit(main(["bundle", {folder!r}]))
"""
