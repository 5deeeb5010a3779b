"""What goes wrong in a replay, when, and which alert is to say so: from a file anybody can write.

docs/alert-faults.md tells of its keys.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from exporter.simulator.faults import MINER_FAULTS, POOL_FAULTS, UnknownFaultError, parameters
from exporter.units import duration_seconds
from scripts.quality.rules import Selector, selectors

POOL, EXPORTER, FLEET = "pool", "exporter", "fleet"
# What only a replay can do; the others are the simulator's.
QUIET_FAULTS = {
    "restart": "mining starts anew, as after a change of settings",
    "reboot": "the control board starts anew, as after a new firmware",
    "tuning": "the miner tunes itself, hashing",
    "figures": "figures are other than they would be: times, plus, set",
    "no_shares": "hashes, and the pool accepts nothing",
    "uncredited": "the pool accepts the miner's shares and credits none",
    "prices": "coins are worth so many times what they were",
}
_PARAMETERS = {"prices": {"times": 0.5}}
_KEYS = {"at", "for", "target", "fault", "alert", "within", "silenced", "times", "plus", "set", "about"}
# Pool faults that are the wire's or the ledger's; those of single answers are tested elsewhere.
_OF_POOL = ("dead", "http_500", "wrong_key", "throttled", "unknown_account", "ip_not_allowed", "skim")
# The wire to a miner fails, its mining does not.
WIRE_FAULTS = ("hanging", "http_500", "html", "truncated_json", "wrong_types", "slow")


class FaultFileError(Exception):
    """A file of faults that cannot be used; the text has a line for each thing wrong."""


@dataclass(frozen=True, slots=True)
class Change:
    """*how* (``times``, ``plus``, ``set``) the figures that *selector* takes change, by *amount*."""

    how: str
    selector: Selector
    amount: float


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong with *target* from *start* to *end*, in seconds of the replay.

    *alerts* are those that are to find it, any of them; none, and it is of those that must wake nobody.
    *grows* has the first and last value of parameters that change on the way. *silenced*: its owner said
    beforehand that it would be so.
    """

    number: int
    start: float
    end: float
    target: str
    kind: str
    about: str
    alerts: tuple[str, ...] = ()
    within: float | None = None
    silenced: bool = False
    grows: Mapping[str, tuple[float, float]] | None = None
    changes: tuple[Change, ...] = ()

    def parameters(self, time: float) -> tuple[tuple[str, float], ...]:
        """The parameters at a time; what grows does so in sixteen steps, to whole numbers."""
        part = round(16 * min(1.0, max(0.0, (time - self.start) / (self.end - self.start)))) / 16
        return tuple(
            (name, first if first == last else float(round(first + part * (last - first))))
            for name, (first, last) in (self.grows or {}).items()
        )


def load(path: Path, miners: Collection[str], sites: Collection[str], length: float) -> list[Fault]:
    """Read a file of faults for a replay of *length* seconds.

    Raises:
        FaultFileError: it is not readable, or a fault in it is none.
    """
    try:
        items = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise FaultFileError(f"{path}: expected a list of faults in YAML ({error})") from None
    if not isinstance(items, list):
        raise FaultFileError(f"{path}: expected a list of faults, found {type(items).__name__}")
    faults, wrong = [], []
    targets = {*miners, *sites, POOL, EXPORTER, FLEET}
    for number, item in enumerate(items, start=1):
        try:
            fault = _fault(number, item, targets)
            if fault.start + 1 > length:
                continue
            faults.append(fault)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            missing = f"expected a key {error}" if isinstance(error, KeyError) else str(error)
            wrong.append(f"{path}: fault {number}: {missing}")
    if wrong:
        raise FaultFileError("\n".join(wrong))
    return sorted(faults, key=lambda fault: (fault.start, fault.number))


def _fault(number: int, item: Mapping[str, Any], targets: Collection[str]) -> Fault:
    target, kind = str(item["target"]), str(item["fault"])
    if target not in targets:
        raise ValueError(
            f"expected a miner, a site, {POOL}, {EXPORTER} or {FLEET} as target, found {target!r}"
        )
    start, duration = duration_seconds(item["at"]), duration_seconds(item["for"])
    if duration <= 0:
        raise ValueError("for: expected a time longer than 0")
    given = {key: value for key, value in item.items() if key not in _KEYS}
    first = {name: value[0] if isinstance(value, list) else value for name, value in given.items()}
    last = {name: value[-1] if isinstance(value, list) else value for name, value in given.items()}
    if kind == "prices":
        given_times = float(item.get("times", 0.5))
        grows = {"times": (given_times, given_times)}
    elif kind in QUIET_FAULTS:
        if given:
            raise ValueError(f"{kind}: no such key: {', '.join(given)}")
        grows = {}
    else:
        known = MINER_FAULTS
        if target == POOL:
            known = {name: POOL_FAULTS[name] for name in _OF_POOL}
        elif target == EXPORTER:
            known = {"dead": POOL_FAULTS["dead"]}
        from_, to = parameters(known, kind, first), parameters(known, kind, last)
        grows = {name: (from_[name], to[name]) for name in from_}
    changes = tuple(
        Change(how, selector, float(amount))
        for how in ("times", "plus", "set")
        if kind == "figures"
        for text, amount in (item.get(how) or {}).items()
        for selector in selectors(text)
    )
    if kind == "figures" and not changes:
        raise ValueError("figures: expected times, plus or set")
    alerts = item.get("alert", [])
    within = item.get("within")
    return Fault(
        number,
        start,
        start + duration,
        target,
        kind,
        str(item.get("about", f"{kind} of {target}")),
        (alerts,) if isinstance(alerts, str) else tuple(alerts),
        None if within is None else duration_seconds(within),
        bool(item.get("silenced", False)),
        grows,
        changes,
    )


__all__ = ["Fault", "FaultFileError", "UnknownFaultError", "load"]
