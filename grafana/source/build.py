"""Write the dashboards as the JSON that Grafana loads, and the page about them.

``python grafana/source/build.py [--check]``
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import alerts
import boards
import fleet
import freshness
import inventory
import loss
import miner
import pool
from grafana_foundation_sdk.cog.encoder import JSONEncoder

FOLDER = Path(__file__).parent.parent / "dashboards"
PAGE = FOLDER.parent.parent / "docs" / "dashboards.md"
PICTURES = PAGE.with_suffix("")
DASHBOARDS = {
    made.UID: made.dashboard for made in (fleet, miner, boards, pool, loss, alerts, freshness, inventory)
}


def rendered(uid: str) -> str:
    """A dashboard as JSON, each panel with an id of its own: the SDK leaves them out, and links need them."""
    data: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(DASHBOARDS[uid]().build()))
    for number, panel in enumerate(data["panels"], start=1):
        panel["id"] = number
        # No pages of states; the SDK takes no 0, and Grafana would say that this is page 1 of 1.
        if "perPage" in panel.get("options", {}):
            panel["options"]["perPage"] = 0
    for key in ("id", "version", "iteration"):
        data.pop(key, None)
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


INTRODUCTION = """# Dashboards

<!-- Written by grafana/source/build.py from the dashboards. -->

Each panel answers one question, which is its title. All take the data source, job, site, rack and miner from the top of
the page, keep them and the time when you go from one to another, and mark in their graphs where alerts begin. Blue is well,
orange a warning, red critical; a word or number always says the same. Thresholds are those of the exporter's configuration.

The pictures are of the demo's fleet of forty with each fault of the simulator, about an hour after they began, in
Grafana 12.4.
"""


def page() -> str:
    """What each dashboard answers, in Markdown."""
    parts = [INTRODUCTION]
    for uid in DASHBOARDS:
        board = json.loads(rendered(uid))
        parts.append(f"## {board['title'].removeprefix('Mining: ').capitalize()}\n\n{board['description']}\n")
        if (PICTURES / f"{uid}.png").is_file():
            parts.append(f"![{board['title']}](dashboards/{uid}.png)\n")
        rows = [panel for panel in board["panels"] if panel["type"] != "row"]
        parts.append(
            "| question | what you see |\n|---|---|\n"
            + "".join(f"| {panel['title']} | {panel['description']} |\n" for panel in rows)
        )
    return "\n".join(parts)


def main(arguments: list[str]) -> int:
    """Write every dashboard and the page, or with ``--check`` say which file is not what would be written."""
    made = {FOLDER / f"{uid}.json": rendered(uid) for uid in DASHBOARDS} | {PAGE: page()}
    stale = []
    for path, text in made.items():
        if "--check" not in arguments:
            path.write_text(text, "utf-8")
        elif not path.is_file() or path.read_text("utf-8") != text:
            stale.append(path.name)
    if stale:
        print(f"not what the source makes: {', '.join(stale)}; run python grafana/source/build.py")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
