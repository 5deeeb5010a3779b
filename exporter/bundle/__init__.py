"""The rules, routes and dashboards that go with the exporter, and how they are fitted to a place.

The folders here are links to those of the repository; a wheel has the files themselves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent
_MADE = "# Made by minefleet-exporter bundle; the file it comes from has the reasons.\n"
_SHIPPED_JOBS = "minefleet"
_SHIPPED_GRAFANA = "http://localhost:3001"
_SHIPPED_EXPORTER = "http://localhost:10777/"
_FILES = (
    "prometheus/rules/*.yml",
    "alertmanager/templates/*.tmpl",
    "grafana/dashboards/*.json",
    "grafana/provisioning/*/*.yml",
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the exporter and its neighbours are, and whom to tell; secrets are files beside Alertmanager.

    ``jobs`` is what the names of the scrape jobs begin with. Without ``slack_channel`` nothing goes to Slack,
    without ``mail_to`` nothing by e-mail, and without ``dead_mans_switch`` nobody hears the watchdog.
    """

    exporter: str = "127.0.0.1:10777"
    prometheus: str = "127.0.0.1:9090"
    alertmanager: str = "127.0.0.1:9093"
    grafana_url: str = "http://localhost:3000"
    exporter_url: str = "http://localhost:10777"
    jobs: str = _SHIPPED_JOBS
    data_source: str = "prometheus"
    dashboards: str = "/var/lib/grafana/dashboards"
    slack_channel: str | None = None
    slack_webhook_file: str = "/etc/alertmanager/slack_webhook_url"
    mail_to: str | None = None
    mail_from: str | None = None
    smtp: str = "localhost:25"
    smtp_user: str | None = None
    smtp_password_file: str = "/etc/alertmanager/smtp_password"  # noqa: S105 - where it is, not what
    dead_mans_switch: str | None = None


def files(place: Place) -> Iterator[tuple[str, str]]:
    """Each file's path below the folder to write it to, and its text."""
    yield "prometheus/prometheus.yml", _MADE + _dump(_prometheus(place))
    yield "alertmanager/alertmanager.yml", _MADE + _dump(_alertmanager(place))
    for pattern in _FILES:
        for path in sorted(ROOT.glob(pattern)):
            name = path.relative_to(ROOT)
            yield str(name), _fitted(name.parts[0], path, place)


def _fitted(kind: str, path: Path, place: Place) -> str:
    text = path.read_text("utf-8")
    if kind == "prometheus":
        return text.replace(f'job=~"{_SHIPPED_JOBS}-', f'job=~"{place.jobs}-')
    if kind == "alertmanager":
        text = text.replace(_SHIPPED_EXPORTER, f"{place.exporter_url.rstrip('/')}/")
        return text.replace(_SHIPPED_GRAFANA, place.grafana_url.rstrip("/"))
    if path.suffix == ".json":
        return _dashboard(text, place)
    return (
        text.replace("url: http://prometheus:9090", f"url: http://{place.prometheus}")
        .replace("url: http://alertmanager:9093", f"url: http://{place.alertmanager}")
        .replace("uid: prometheus", f"uid: {place.data_source}")
        .replace("/var/lib/grafana/dashboards", place.dashboards)
    )


def _dashboard(text: str, place: Place) -> str:
    dashboard = json.loads(text.replace(f'job=~\\"{_SHIPPED_JOBS}-', f'job=~\\"{place.jobs}-'))
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "datasource" and place.data_source != Place().data_source:
            variable["current"] = {"text": place.data_source, "value": place.data_source}
    return json.dumps(dashboard, indent=2, ensure_ascii=False) + "\n"


def _prometheus(place: Place) -> dict[str, Any]:
    """The jobs of the exporter, Prometheus and Alertmanager; node-exporter is the compose file's own."""
    text = (ROOT / "prometheus/prometheus.yml").read_text("utf-8")
    for shipped, local in (
        ("exporter:10777", place.exporter),
        ("alertmanager:9093", place.alertmanager),
        ("localhost:9090", place.prometheus),
        (f"job_name: {_SHIPPED_JOBS}-", f"job_name: {place.jobs}-"),
    ):
        text = text.replace(shipped, local)
    config: dict[str, Any] = yaml.safe_load(text)
    config["scrape_configs"] = [job for job in config["scrape_configs"] if job["job_name"] != "node"]
    return config


def _alertmanager(place: Place) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((ROOT / "alertmanager/alertmanager.yml").read_text("utf-8"))
    kept = {"resolve_timeout": config["global"]["resolve_timeout"]}
    if place.slack_channel:
        kept["slack_api_url_file"] = place.slack_webhook_file
    if place.mail_to:
        kept |= {"smtp_smarthost": place.smtp, "smtp_from": place.mail_from or place.mail_to}
        if place.smtp_user:
            kept |= {
                "smtp_auth_username": place.smtp_user,
                "smtp_auth_password_file": place.smtp_password_file,
            }
    config["global"] = kept
    for receiver in config["receivers"]:
        for kind, key, value in (
            ("slack_configs", "channel", place.slack_channel),
            ("email_configs", "to", place.mail_to),
        ):
            if value is None:
                receiver.pop(kind, None)
            for one in receiver.get(kind, ()):
                one[key] = value
        if receiver["name"] == "dead-mans-switch" and place.dead_mans_switch:
            receiver["webhook_configs"] = [{"url": place.dead_mans_switch, "send_resolved": False}]
    return config


class _Dumper(yaml.SafeDumper):
    """Writes each receiver in full."""

    def ignore_aliases(self, _data: Any) -> bool:
        """No anchors."""
        return True


def _dump(data: dict[str, Any]) -> str:
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=200)
