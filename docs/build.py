"""Write docs/metrics.md from the catalogue and docs/fields.yaml, and what messages say of what to do now from
docs/runbook.md: ``python docs/build.py [--check]``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from exporter.catalogue import CATALOGUE, Metric

FOLDER = Path(__file__).parent
FIELDS = FOLDER / "fields.yaml"
RUNBOOK = FOLDER / "runbook.md"
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


def now() -> str:
    """Alertmanager's template with the runbook's first words on each alert."""
    cases = re.findall(
        r"^## (\w+)\n\n\*\*Now\.\*\* (.+?)\n\n", RUNBOOK.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    tests = [f'{{{{- else if eq . "{name}" }}}}{" ".join(text.split())}' for name, text in cases]
    return (
        "{{/* Written by docs/build.py from docs/runbook.md. */}}\n"
        '{{ define "minefleet.now" }}'
        + "\n".join(tests).replace("{{- else if", "{{ if", 1)
        + "{{ end }}{{ end }}\n"
    )


FILES = {FOLDER / "metrics.md": page, FOLDER.parent / "alertmanager/templates/now.tmpl": now}


def main(arguments: list[str]) -> int:
    """Write the files, or with ``--check`` say which are not what would be written."""
    stale = [path for path, text in FILES.items() if path.read_text("utf-8") != text()]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.name} is not what it is made of; run python docs/build.py")
        return bool(stale)
    for path in stale:
        path.write_text(FILES[path](), "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
