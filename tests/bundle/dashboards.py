"""The committed dashboards, for the tests: their panels, what they ask, and how Grafana would send it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

FOLDER = ROOT / "grafana"
FILES = sorted((FOLDER / "dashboards").glob("*.json"))


@dataclass(frozen=True)
class Asked:
    """One query: of which dashboard and panel, whether of the moment or over time, and its name there."""

    dashboard: str
    panel: str
    ref: str
    expression: str
    instant: bool
    legend: str


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))  # type: ignore[no-any-return]


def panels(path: Path) -> list[dict[str, Any]]:
    """All but headings."""
    return [panel for panel in load(path)["panels"] if panel["type"] != "row"]


def queries() -> Iterator[Asked]:
    """Every query of every panel."""
    for path in FILES:
        for panel in panels(path):
            for target in panel["targets"]:
                yield Asked(
                    path.stem,
                    panel["title"],
                    target["refId"],
                    target["expr"],
                    bool(target.get("instant")),
                    target.get("legendFormat", ""),
                )


def annotations() -> Iterator[Asked]:
    for path in FILES:
        for made in load(path)["annotations"]["list"]:
            if "expr" in made:
                yield Asked(path.stem, made["name"], "annotation", made["expr"], False, "")


def variables(path: Path) -> dict[str, dict[str, Any]]:
    return {variable["name"]: variable for variable in load(path)["templating"]["list"]}


def sent(expression: str, chosen: Mapping[str, str] | None = None, rate: str = "5m") -> str:
    """The expression with variables filled in as Grafana does; all values of those that are not *chosen*."""
    values = {"site": ".*", "rack": ".*", **(chosen or {})}
    expression = expression.replace("$__rate_interval", rate).replace("$__range", "1h")
    return re.sub(r"\$([a-z_]+)\b", lambda found: values.get(found[1], ".+"), expression)
