"""Write the dashboards as the JSON that Grafana loads: ``python grafana/source/build.py [--check]``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import fleet
from grafana_foundation_sdk.cog.encoder import JSONEncoder

FOLDER = Path(__file__).parent.parent / "dashboards"
DASHBOARDS = {fleet.UID: fleet.dashboard}


def rendered(uid: str) -> str:
    """A dashboard as JSON, each panel with an id of its own: the SDK leaves them out, and links need them."""
    data: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(DASHBOARDS[uid]().build()))
    for number, panel in enumerate(data["panels"], start=1):
        panel["id"] = number
    for key in ("id", "version", "iteration"):
        data.pop(key, None)
    return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write every dashboard, or with ``--check`` say which file is not what would be written."""
    stale = []
    for uid in DASHBOARDS:
        path, text = FOLDER / f"{uid}.json", rendered(uid)
        if "--check" not in arguments:
            path.write_text(text, "utf-8")
        elif not path.is_file() or path.read_text("utf-8") != text:
            stale.append(path.name)
    if stale:
        print(f"not what the source makes: {', '.join(stale)}; run python grafana/source/build.py")
    return 1 if stale else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
