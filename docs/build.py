"""Write docs/metrics.md from the catalogue and docs/fields.yaml: ``python docs/build.py [--check]``."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from exporter.catalogue import CATALOGUE, Metric

FIELDS = Path(__file__).parent / "fields.yaml"
FILE = Path(__file__).parent / "metrics.md"
GROUPS = (
    ("The miner", "On `/probe` of a miner and on `/fleet`.", r"vnish_(?!board_|pool_)"),
    ("Its boards", "One series for each `board`, numbered as the firmware does.", r"vnish_board_"),
    (
        "The pools it mines to, as it sees them",
        "`type` tells the owner's pools (`UserPool`) from the firmware's fee (`DevFee`).",
        r"vnish_pool_",
    ),
    (
        "The mining pool's own interface",
        "On `/probe` of a pool and on `/fleet`; `instance` is the configured name of the account.",
        r"mining_pool_",
    ),
    (
        "The fleet's configuration, to join with",
        "On the same page as what it is joined with: `on (job, instance)`.",
        r"minefleet_(threshold_|electricity_|miner_|pool_match)",
    ),
    ("The exporter itself", "On `/metrics`.", r"minefleet_(?!threshold_|electricity_|miner_|pool_match)"),
)


def page() -> str:
    """The whole page."""
    lines = [
        "# Metrics",
        "",
        "<!-- Written by docs/build.py from exporter/catalogue.py. -->",
        "",
        "Base units throughout: hashes per second, degrees Celsius, watts, volts, hertz, seconds, bytes, and",
        "ratios from 0 to 1. A value nobody measured is absent, never 0. A help text ends with its source.",
        "Samples carry no labels of the target: `instance`, `site` and your other labels come from service",
        "discovery, or on `/fleet` from the exporter.",
    ]
    for title, text, pattern in GROUPS:
        lines += [
            "",
            f"## {title}",
            "",
            text,
            "",
            "| series | type | labels | meaning |",
            "|---|---|---|---|",
        ]
        lines += [_row(metric) for metric in _matching(pattern)]
    lines += [
        "",
        "## From field to series",
        "",
        "Every field of the firmware's read endpoints, of 1.2.7 and 1.3.4, then of the CGI pages of 3.9. `*`",
        "is the rest of a path, but for those named before it.",
        "",
        "| field | series |",
        "|---|---|",
    ]
    for path, target in yaml.safe_load(FIELDS.read_text("utf-8")).items():
        if target.startswith("- "):
            lines.append(f"| `{path}` | none: {target.removeprefix('- ')} |")
        else:
            lines.append(f"| `{path}` | {', '.join(f'`{name}`' for name in target.split(', '))} |")
    return "\n".join(lines) + "\n"


def _matching(pattern: str) -> Iterator[Metric]:
    return (metric for metric in CATALOGUE.values() if re.match(pattern, metric.name))


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    states = f" States: {', '.join(metric.states)}." if metric.states else ""
    text = metric.help.replace("|", "\\|")
    return f"| `{metric.name}` | {metric.kind} | {labels} | {text}.{states} |"


def main(arguments: list[str]) -> int:
    """Write the page, or with ``--check`` say whether it is what would be written."""
    if "--check" not in arguments:
        FILE.write_text(page(), "utf-8")
        return 0
    if FILE.read_text("utf-8") == page():
        return 0
    print("docs/metrics.md is not what the catalogue says; run python docs/build.py")
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
