"""Printed figures to base units, and the refusal of anything else.

What reads a device's text returns ``None`` where it does not understand it: an unknown figure is no figure.
"""

from __future__ import annotations

import re

_HASHRATE = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kKMGTPE]?)[hH](?:/s|ps|ash/s)?\s*", re.ASCII)
_SCALE = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_MEASURE = {"GH/s": 1e9, "MH/s": 1e6}
_DIFFICULTY = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([kKMGTPE]?)\s*", re.ASCII)
_UPTIME = re.compile(
    r"\s*(?:up\s+)?(?:(\d+)\s+days?\s*,?)?\s*(?:(\d+):(\d{1,2})(?::(\d{1,2}))?|(\d+)\s*min)?\s*", re.ASCII
)
_CLOCK = re.compile(r"\s*(?:(\d+)\s+days?\s*,?\s*)?(?:(\d+):)?(\d{1,2}):(\d{1,2})\s*", re.ASCII)
_DURATION = re.compile(r"(\d+)(ms|[smhdwy])", re.ASCII)

DAY = 86_400.0
_DURATION_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": DAY, "w": 7 * DAY, "y": 365 * DAY}
# No figure is longer, and one that is cut is another figure.
_MOST_LETTERS = 64


def _match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    return pattern.fullmatch(text) if len(text) <= _MOST_LETTERS else None


def hashrate(text: str) -> float | None:
    """``"9.5 GH/s"`` to hashes per second; the unit is obligatory."""
    match = _match(_HASHRATE, text)
    return float(match[1]) * _SCALE[match[2]] if match else None


def hashrate_scale(unit: str) -> float | None:
    """Hashes per second in one of *unit*: ``"GH/s"`` and ``"GH"`` are 1e9; ``"Sol"`` counts no hashes."""
    match = _HASHRATE.fullmatch(f"1 {unit[:16]}")
    return _SCALE[match[2]] if match else None


def hashrate_text(rate: float) -> str:
    """A hashrate in the unit a person reads: ``9.5 GH/s``."""
    for scale, unit in ((1e15, "PH/s"), (1e12, "TH/s"), (1e9, "GH/s"), (1e6, "MH/s"), (1e3, "kH/s")):
        if rate >= scale:
            return f"{rate / scale:.4g} {unit}"
    return f"{rate:.4g} H/s"


def efficiency_text(joules_per_hash: float) -> str:
    """The energy of a hash in the unit a person reads: ``0.2 J/MH``, ``17.5 J/TH``."""
    for scale, unit in ((1e12, "J/TH"), (1e9, "J/GH")):
        if joules_per_hash * scale < 1000:
            return f"{joules_per_hash * scale:.3g} {unit}"
    return f"{joules_per_hash * 1e6:.3g} J/MH"


def hashes_per_measure(measure: str | None, model: str | None, algorithm: str | None) -> float:
    """Hashes per second in one unit of the firmware's hashrates.

    ``hr_measure`` of ``/info`` decides. Firmware up to 1.2.5 has none, and 1.3 may say ``N/A``: then scrypt
    (told by the algorithm, else by an L3, L7 or L9 in the model's name) counts in MH/s, SHA-256 in GH/s.
    """
    if measure in _MEASURE:
        return _MEASURE[measure]
    if algorithm in ("scrypt", "sha256d"):
        return 1e6 if algorithm == "scrypt" else 1e9
    return 1e6 if algorithm_of(model) == "scrypt" else 1e9


def algorithm_of(model: str | None) -> str:
    """The algorithm a model mines, from its name: ``"Antminer L7"`` is scrypt, all else SHA-256."""
    return "scrypt" if re.search(r"\bl(3|5|7|9|11)\b|scrypt", (model or "").lower()) else "sha256d"


def difficulty(text: str) -> float | None:
    """``"131K"`` to 131000.0; an empty string, as from a pool that is offline, is no difficulty."""
    match = _match(_DIFFICULTY, text)
    return float(match[1]) * _SCALE[match[2]] if match else None


def uptime_seconds(text: str) -> float | None:
    """What ``uptime`` prints, to seconds: ``"0:06"``, ``"27 days, 12:24"``, ``"1 day,  3:58"``, ``"5 min"``.

    Hours and minutes, with a resolution of one minute.
    """
    match = _match(_UPTIME, text)
    if not match or not any(match.groups()):
        return None
    days, hours, minutes, seconds, only_minutes = (float(part or 0) for part in match.groups())
    return days * DAY + hours * 3600 + (minutes + only_minutes) * 60 + seconds


def clock_seconds(text: str) -> float | None:
    """``"0:00:11"`` (hours, minutes, seconds) or ``"1 days 2:03:04"`` to seconds; ``"0"`` is never."""
    match = _match(_CLOCK, text)
    if not match:
        return None
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return days * DAY + hours * 3600 + minutes * 60 + seconds


def duration_seconds(duration: object) -> float:
    """``"1d12h"`` to 129600.0: a duration as Prometheus and Alertmanager write it.

    Source: https://prometheus.io/docs/prometheus/latest/configuration/configuration/.

    Raises:
        ValueError: it is none.
    """
    text = str(duration)
    if text == "0":
        return 0.0
    if not re.fullmatch(f"({_DURATION.pattern})+", text):
        raise ValueError(f"expected a duration such as 1d12h, found {text!r}")
    return sum(float(number) * _DURATION_SECONDS[unit] for number, unit in _DURATION.findall(text))


def clean(text: str, limit: int = 128) -> str:
    """A device's string as a label: printable characters only, at most *limit* of them."""
    text = text[: limit * 4]
    if not text.isprintable():
        text = "".join(letter for letter in text if letter.isprintable())
    return text.strip()[:limit]
