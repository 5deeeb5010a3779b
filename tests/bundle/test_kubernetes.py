"""The Helm chart, rendered by Helm's own library, and the manifests, against the schemas they are for."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import pytest
import yaml

from exporter import __version__
from exporter.config.load import load
from tests.bundle.test_alertmanager import NOTIFICATIONS, render
from tests.conftest import ROOT

CHART = ROOT / "deploy/helm/minefleet-exporter"
MANIFEST = ROOT / "deploy/scale/kubernetes.yml"
OPERATOR = "monitoring.coreos.com/"
# The oldest the chart admits, and the newest whose schemas there are.
VERSIONS = ("1.25.0", "1.35.0")
FLEET = {
    "fleet": {
        "miners": [{"address": "192.168.1.101", "name": "barn1-l9-01"}],
        "allowed_networks": ["192.168.1.0/24"],
    },
    "prohashing": {"api_key": "${POOL_KEY}", "base_url": "http://relay:3000"},
}
EVERYTHING = {
    "replicas": 2,
    "existingSecret": "minefleet",
    "config": FLEET,
    "extraArgs": ["--web.config.file=/run/secrets/web.yml"],
    "imagePullSecrets": [{"name": "registry"}],
    "podAnnotations": {"example.org/team": "barn"},
    "service": {"annotations": {"example.org/team": "barn"}},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"operator": "Exists"}],
    "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": []}},
    "prometheusOperator": {
        part: {"enabled": True, "labels": {"release": "kube-prometheus-stack"}}
        for part in ("scrapeConfigs", "rules", "alertmanagerConfig")
    },
    "dashboards": {"enabled": True, "annotations": {"grafana_folder": "Mining"}},
}


def rendered(values: dict[str, Any], name: str = "minefleet") -> list[dict[str, Any]]:
    with helm_python.Chart.load(str(CHART)) as chart:
        files = chart.render(values, name=name, namespace="mining")
    return [
        document
        for path, text in sorted(files.items())
        if path.endswith(".yaml")
        for document in yaml.safe_load_all(text)
        if document
    ]


def of_kind(kind: str, values: dict[str, Any] = EVERYTHING) -> list[dict[str, Any]]:
    return [document for document in rendered(values) if document["kind"] == kind]


def test_helm_finds_nothing_wrong() -> None:
    found = helm_python.lint(str(CHART))
    assert found["errors"] == []
    assert [message["error"] for message in found["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_what_kubernetes_gets_fits_its_schemas(values: dict[str, Any], version: str) -> None:
    core = [document for document in rendered(values) if not document["apiVersion"].startswith(OPERATOR)]
    assert {"ConfigMap", "Service", "Deployment"} == {document["kind"] for document in core}
    for document in core:
        kubernetes_validate.validate(document, version, strict=True)


def test_a_wrong_manifest_is_refused() -> None:
    [deployment] = of_kind("Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["imagePullPolicies"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[0], strict=True)


@pytest.fixture(scope="module")
def operator_models() -> dict[str, Any]:
    """Models made from the operator's resource definitions, by kind; to import them takes seconds."""
    from cloudcoil.models.prometheus_operator import v1, v1alpha1

    return {
        "ScrapeConfig": v1alpha1.ScrapeConfig,
        "AlertmanagerConfig": v1alpha1.AlertmanagerConfig,
        "PrometheusRule": v1.PrometheusRule,
    }


def unfit(document: dict[str, Any], models: dict[str, Any]) -> object:
    """What of *document* the resource definition does not know; raises where it knows and refuses it."""
    model = models[document["kind"]].model_validate(document)
    return _lost(document, model.model_dump(mode="json", by_alias=True, exclude_unset=True))


def _lost(before: object, after: object) -> object:
    if isinstance(before, dict) and isinstance(after, dict):
        return {
            key: lost
            for key, value in before.items()
            if (lost := _lost(value, after[key]) if key in after else value) not in ({}, [], None)
        }
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        return [
            lost
            for one, other in zip(before, after, strict=True)
            if (lost := _lost(one, other)) not in ({}, [], None)
        ]
    return None if before == after else before


def test_what_the_operator_gets_fits_its_definitions(operator_models: dict[str, Any]) -> None:
    custom = [document for document in rendered(EVERYTHING) if document["apiVersion"].startswith(OPERATOR)]
    custom += yaml.safe_load_all((ROOT / "prometheus/examples/operator.yml").read_text())
    assert {document["kind"] for document in custom} == set(operator_models)
    for document in custom:
        assert unfit(document, operator_models) == {}, document["metadata"]["name"]
        expected = "v1" if document["kind"] == "PrometheusRule" else "v1alpha1"
        assert document["apiVersion"] == f"{OPERATOR}{expected}"


def test_a_wrong_resource_is_refused(operator_models: dict[str, Any]) -> None:
    first = of_kind("ScrapeConfig")[0]
    first["spec"]["httpSDConfigs"][0]["refresh"] = "30s"
    assert unfit(first, operator_models) == {"spec": {"httpSDConfigs": [{"refresh": "30s"}]}}
    first["spec"]["sampleLimit"] = "many"
    with pytest.raises(ValueError, match="sampleLimit"):
        unfit(first, operator_models)


def test_the_operators_jobs_have_the_names_the_rules_look_for() -> None:
    jobs = {document["spec"]["jobName"] for document in of_kind("ScrapeConfig")}
    assert jobs == {"minefleet-miners", "minefleet-pools", "minefleet-exporter"}
    [service] = of_kind("Service")
    name, port = service["metadata"]["name"], service["spec"]["ports"][0]["port"]
    urls = [
        config["url"] for one in of_kind("ScrapeConfig") for config in one["spec"].get("httpSDConfigs", ())
    ]
    assert sorted(urls) == [f"http://{name}.mining.svc:{port}/sd/{what}" for what in ("miners", "pools")]


def test_the_operators_rules_are_the_shipped_ones(tmp_path: Path) -> None:
    shipped = [yaml.safe_load(path.read_text()) for path in sorted((ROOT / "prometheus/rules").glob("*.yml"))]
    specs = [document["spec"] for document in of_kind("PrometheusRule")]
    assert specs == shipped
    for number, spec in enumerate(specs):
        path = tmp_path / f"{number}.yml"
        path.write_text(yaml.safe_dump(spec))
        done = subprocess.run(
            ["promtool", "check", "rules", path], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def as_text(matchers: list[dict[str, str]]) -> list[str]:
    return [f'{one["name"]}{one["matchType"]}"{one["value"]}"' for one in matchers]


def test_the_operators_routes_are_the_shipped_ones() -> None:
    shipped = yaml.safe_load((ROOT / "alertmanager/alertmanager.yml").read_text())
    [config] = of_kind("AlertmanagerConfig")
    spec = config["spec"]
    assert [
        {
            "source_matchers": as_text(rule["sourceMatch"]),
            "target_matchers": as_text(rule["targetMatch"]),
            "equal": rule["equal"],
        }
        for rule in spec["inhibitRules"]
    ] == shipped["inhibit_rules"]
    route = spec["route"]
    assert [as_text(one["matchers"]) for one in route["routes"]] == [
        one["matchers"] for one in shipped["route"]["routes"]
    ]
    receivers = {receiver["name"] for receiver in spec["receivers"]}
    assert {route["receiver"], *(one["receiver"] for one in route["routes"])} == receivers
    assert (route["groupWait"], route["groupBy"]) == (
        shipped["route"]["group_wait"],
        shipped["route"]["group_by"],
    )
    alerts = re.findall(r"alert: (\w+)", (ROOT / "prometheus/rules/minefleet.alerts.yml").read_text())
    [names] = route["matchers"]
    assert all(re.fullmatch(names["value"], alert) for alert in alerts)


@pytest.mark.parametrize("field", ["title", "titleLink", "color", "text"])
def test_the_operators_messages_are_the_shipped_ones(field: str, tmp_path: Path) -> None:
    addresses = {"grafana": "https://grafana.example", "exporter": "https://barn.example/e/"}
    values = EVERYTHING | {"prometheusOperator": {"alertmanagerConfig": {"enabled": True} | addresses}}
    [config] = [one for one in rendered(values) if one["kind"] == "AlertmanagerConfig"]
    [slack, _] = config["spec"]["receivers"]
    text = slack["slackConfigs"][0][field]
    name = {"titleLink": "link", "text": "slack.text"}.get(field, field)
    data = tmp_path / "data.json"
    data.write_text(json.dumps(NOTIFICATIONS["one"]))
    expected = render(f'{{{{ template "minefleet.{name}" . }}}}', f"--template.data={data}")
    for ours, theirs in (
        ("http://localhost:3001", "https://grafana.example"),
        ("http://localhost:10777", "https://barn.example/e"),
    ):
        expected = expected.replace(ours, theirs)
    assert render(text, f"--template.data={data}") == expected


def test_dashboards_are_the_shipped_ones() -> None:
    maps = [one for one in of_kind("ConfigMap") if "grafana_dashboard" in one["metadata"]["labels"]]
    found = {name: json.loads(text) for one in maps for name, text in one["data"].items()}
    folder = ROOT / "grafana/dashboards"
    assert found == {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}
    # The API refuses larger ones.
    assert all(len(json.dumps(one)) < 1_000_000 for one in maps)


def test_the_charts_configuration_is_one_the_exporter_takes(tmp_path: Path) -> None:
    [config] = [one for one in of_kind("ConfigMap") if "config.yaml" in one["data"]]
    path = tmp_path / "config.yaml"
    path.write_text(config["data"]["config.yaml"])
    loaded = load(path, {"POOL_KEY": "secret"})
    assert [miner.instance for miner in loaded.fleet.all_miners()] == ["barn1-l9-01"]
    assert loaded.ended, "a file cut short is noticed"
    [deployment] = of_kind("Deployment")
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert container["args"][:2] == ["serve", "--config.file=/etc/minefleet/config.yaml"]
    assert container["image"] == f"minefleet-exporter:{__version__}"
    assert pod["securityContext"]["runAsUser"] == 10777
    assert "10777:10777" in (ROOT / "Dockerfile").read_text()


def test_a_changed_configuration_starts_new_pods() -> None:
    def checksum(values: dict[str, Any]) -> str:
        [deployment] = of_kind("Deployment", values)
        return deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"]  # type: ignore[no-any-return]

    assert checksum({}) != checksum(EVERYTHING)


def test_names_of_a_release_do_not_repeat_themselves() -> None:
    def name(release: str, **values: Any) -> str:
        return next(one for one in rendered(values, release) if one["kind"] == "Service")["metadata"]["name"]  # type: ignore[no-any-return]

    assert name("minefleet-exporter") == "minefleet-exporter"
    assert name("barn") == "barn-minefleet-exporter"
    assert name("barn", fullnameOverride="exporter") == "exporter"


def manifests() -> Iterator[dict[str, Any]]:
    yield from yaml.safe_load_all(MANIFEST.read_text())


@pytest.mark.parametrize("version", VERSIONS)
def test_the_large_deployment_fits_the_schemas(version: str) -> None:
    for document in manifests():
        kubernetes_validate.validate(document, version, strict=True)


def test_services_lead_to_pods_and_ports_that_are_there() -> None:
    workloads = {
        one["metadata"]["name"]: one for one in manifests() if one["kind"] not in ("Service", "ConfigMap")
    }
    services = {one["metadata"]["name"]: one for one in manifests() if one["kind"] == "Service"}
    assert services.keys() == workloads.keys()
    for name, service in services.items():
        template = workloads[name]["spec"]["template"]
        assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
        ports = {port["name"] for port in template["spec"]["containers"][0]["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
        assert workloads[name]["spec"].get("serviceName", name) == name
        assert workloads[name]["spec"]["replicas"] == 2


def test_kubernetes_and_compose_run_the_same_with_the_same_flags() -> None:
    compose = yaml.safe_load((ROOT / "deploy/scale/compose.yml").read_text())["services"]

    def flags(arguments: list[str]) -> dict[str, str]:
        """By name; values that are addresses of this deployment left out."""
        pairs = (argument.lstrip("-").partition("=")[::2] for argument in arguments)
        return {
            name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)
            for name, value in pairs
            if not re.search(r"HERE|:\d{4}|POD_NAME|NODE", value) and name != "cluster.peer"
        }

    for one in manifests():
        if one["kind"] in ("Deployment", "StatefulSet"):
            [container] = one["spec"]["template"]["spec"]["containers"]
            service = compose[container["name"]]
            assert container["image"] == service["image"]
            assert flags(container["args"]) == flags(service["command"]), container["name"]
