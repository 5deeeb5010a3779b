"""Reports of measurements, put where docs/scale.md has a place for them."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

DOCUMENT = Path(__file__).parent.parent / "docs/scale.md"


def write(name: str, text: str) -> None:
    """Put *text* between the comments named *name*, with the day it was measured on."""
    document = DOCUMENT.read_text("utf-8")
    pattern = re.compile(rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- /{name} -->)", re.DOTALL)
    day = dt.datetime.now(dt.UTC).date()
    made, count = pattern.subn(lambda found: f"{found[1]}\n{text}\n\nMeasured {day}.\n\n{found[2]}", document)
    if count != 1:
        raise ValueError(f"{DOCUMENT.name} has no place for {name}")
    DOCUMENT.write_text(made, "utf-8")
