"""The landing page: the fleet at a glance, a form to probe by hand, links; no scripts, no secrets.

It shows what scrapes found. A target nobody has asked for longer than the poll interval is asked for the
page; one that answers late appears when the page refreshes itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from importlib import resources
from string import Template
from typing import Any
from urllib.parse import quote

from exporter import __version__
from exporter import catalogue as c
from exporter.exposition import Page
from exporter.fleet import Fleet, Target
from exporter.pools.metrics import usd_per_hash
from exporter.probe import Look
from exporter.units import DAY, hashrate_text
from exporter.vnish.reading import MinerReading

_PATIENCE_SECONDS = 1.5
_HASHING = ("mining", "auto-tuning")
_background: set[asyncio.Task[Any]] = set()


@dataclass
class _Row:
    """One miner, ready to be written."""

    rank: int
    badge: str
    target: Target
    page: Page | None
    why: str
    usd_per_day: float | None = None
    # As the rules have it: the configured power stands in for a hashing miner that cannot tell.
    power: float | None = None


async def page(fleet: Fleet, clock: Callable[[], float], wall_clock: Callable[[], float]) -> str:
    """The page as HTML."""
    await _refresh(fleet, clock)
    prices = _prices(fleet)
    # A scrape may be late; two missed ones mean that nothing is known now.
    oldest = clock() - 2 * fleet.config.fleet.poll_interval_seconds
    rows = sorted(
        (_row(target, prices, oldest) for target in fleet.miners.values()), key=lambda row: row.rank
    )
    template = Template(resources.files("exporter.server").joinpath("landing.html").read_text("utf-8"))
    return template.substitute(
        version=__version__,
        tiles=_tiles(fleet, rows),
        pools="".join(_pool_line(target, wall_clock) for target in fleet.pools.values()),
        rows="".join(map(_html_row, rows)) or '<tr><td colspan="9">No miners are configured.</td></tr>',
        updated=f"{len(rows)} miner{'s' if len(rows) != 1 else ''}",
    )


async def _refresh(fleet: Fleet, clock: Callable[[], float]) -> None:
    """Ask whoever was not asked lately, and wait a moment for the answers."""
    oldest = clock() - fleet.config.fleet.poll_interval_seconds
    until = clock() + fleet.config.fleet.timeout_seconds
    tasks = [
        asyncio.create_task(target.reader.look(until))
        for target in fleet
        if not target.reader.busy and (target.reader.last is None or target.reader.last.at < oldest)
    ]
    if tasks:
        _background.update(tasks)
        for task in tasks:
            task.add_done_callback(_background.discard)
        await asyncio.wait(tasks, timeout=_PATIENCE_SECONDS)


def _prices(fleet: Fleet) -> dict[str, float]:
    """USD per hash by algorithm, the best of the pools; those a pool's page does not show are no prices."""
    prices: dict[str, float] = {}
    for target in fleet.pools.values():
        if target.reader.last is None:
            continue
        for algorithm, usd in usd_per_hash(target.reader.page(target.reader.last)).items():
            prices[algorithm] = max(usd, prices.get(algorithm, usd))
    return prices


def _row(target: Target, prices: dict[str, float], oldest: float) -> _Row:
    look: Look[MinerReading] | None = target.reader.last
    if look is None:
        return _Row(1, "unknown", target, None, "not asked yet")
    if look.at < oldest:
        return _Row(1, "unknown", target, None, "asked, and no answer yet")
    if look.error:
        return _Row(0, "down", target, None, str(look.error))
    samples = target.reader.page(look)
    reading = look.reading
    assert reading is not None, "a look has a reading or an error"  # noqa: S101
    rate = samples.value(c.HASHRATE)
    price = prices.get(reading.identity.algorithm or "")
    earning = rate * price * DAY if rate is not None and price is not None else None
    faults = _faults(target, reading, samples)
    power = samples.value(c.POWER)
    if reading.state not in _HASHING:
        why = ", ".join([reading.state or "state unknown", *faults])
        return _Row(2, "stopped", target, samples, why, earning, power or 0.0)
    if power is None:
        power = target.static.value(c.MINER_POWER_CONFIGURED)
    rank, badge = (3, "warn") if faults else (4, "ok")
    return _Row(rank, badge, target, samples, ", ".join(faults), earning, power)


def _faults(target: Target, reading: MinerReading, samples: Page) -> list[str]:
    faults = [
        f"board {board.number} {board.state}"
        for board in reading.boards or []
        if board.state in ("failure", "disconnected", "stopped")
    ]
    if (
        reading.boards is not None
        and reading.boards_expected
        and len(reading.boards) < reading.boards_expected
    ):
        faults.append(f"{len(reading.boards)} of {reading.boards_expected:.0f} boards")
    faults += [f"fan {fan.number} lost" for fan in reading.fans if fan.ok is False]
    hottest = samples.value(c.CHIP_TEMPERATURE_MAX)
    warning = target.static.value(c.THRESHOLD_TEMPERATURE_WARNING)
    if hottest is not None and warning is not None and hottest >= warning:
        faults.append(f"{hottest:.0f} °C")
    rate, nominal = samples.value(c.HASHRATE), samples.value(c.HASHRATE_NOMINAL)
    drop = target.static.value(c.THRESHOLD_HASHRATE_DROP)
    if rate is not None and nominal and drop and rate < nominal * (1 - drop):
        faults.append(f"{rate / nominal:.0%} of nominal hashrate")
    return faults


def _tiles(fleet: Fleet, rows: list[_Row]) -> str:
    online = sum(row.page is not None for row in rows)
    pages = [row.page for row in rows if row.page is not None]
    powers = [row.power for row in rows if row.page is not None]
    power = sum(watts for watts in powers if watts is not None)
    unknown = powers.count(None)
    if not pages or unknown == len(pages):
        known = "unknown"
    else:
        known = f"{power / 1000:.2f} kW" + (f" and {unknown} unknown" if unknown else "")
    tiles = [
        ("Online", f"{online} of {len(rows)}", "ok" if online == len(rows) else "down"),
        *((f"Hashrate, {name}", hashrate_text(rate), "") for name, rate in _rates(pages).items()),
        ("Power", known, ""),
    ]
    earnings = [row.usd_per_day for row in rows if row.usd_per_day is not None]
    revenue = sum(earnings) if earnings else None
    tiles.append(("Earning a day", "no fresh price" if revenue is None else f"${revenue:,.2f}", ""))
    price = fleet.config.root.economics.electricity_usd_per_kwh
    if price is not None and pages and not unknown:
        cost = power / 1000 * 24 * price
        tiles.append(("Electricity a day", f"${cost:,.2f}", ""))
        if revenue is not None:
            tiles.append(("Margin a day", f"${revenue - cost:,.2f}", "ok" if revenue >= cost else "down"))
    return "".join(
        f'<div class="tile {kind}"><b>{escape(text)}</b><span>{escape(name)}</span></div>'
        for name, text, kind in tiles
    )


def _rates(pages: list[Page]) -> dict[str, float]:
    """Total hashrate by algorithm: those of two algorithms do not add up to anything."""
    algorithm = c.MINER_INFO.labels.index("algorithm")
    totals: dict[str, float] = {}
    for one in pages:
        rate = one.value(c.HASHRATE)
        name = next((labels[algorithm] for labels in one.family(c.MINER_INFO)), "") or "unknown"
        if rate is not None:
            totals[name] = totals.get(name, 0.0) + rate
    return totals


def _html_row(row: _Row) -> str:
    name = escape(row.target.instance)
    page = row.page
    link = f'<a href="/probe?target={quote(row.target.instance, safe="")}&amp;debug=true">{name}</a>'
    cells = [f'<span class="badge {row.badge}">{row.badge}</span>', link]
    if page is None:
        cells += [""] * 6
    else:
        info = next(iter(page.family(c.MINER_INFO)), None)
        model = info[c.MINER_INFO.labels.index("model")] if info else ""
        rate, nominal = page.value(c.HASHRATE), page.value(c.HASHRATE_NOMINAL)
        share = f" <small>{rate / nominal:.0%}</small>" if rate is not None and nominal else ""
        hottest, power = page.value(c.CHIP_TEMPERATURE_MAX), row.power
        cells += [
            escape(model),
            (escape(hashrate_text(rate)) if rate is not None else "") + share,
            f"{hottest:.0f} °C" if hottest is not None else "",
            f"{power:,.0f} W" if power else "",
            f"{power / rate * _joule_scale(rate):.3g} {_joule_unit(rate)}" if power and rate else "",
            f"${row.usd_per_day:,.2f}" if row.usd_per_day is not None else "",
        ]
    cells.append(escape(row.why))
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>\n"


def _joule_scale(rate: float) -> float:
    return 1e12 if rate >= 1e12 else 1e9 if rate >= 1e9 else 1e6


def _joule_unit(rate: float) -> str:
    return {1e12: "J/TH", 1e9: "J/GH", 1e6: "J/MH"}[_joule_scale(rate)]


def _pool_line(target: Target, wall_clock: Callable[[], float]) -> str:
    look = target.reader.last
    samples = target.reader.page(look) if look else None
    dated = samples.value(c.MINING_POOL_DATA_TIMESTAMP, "profitability") if samples else None
    age = f"figures {_minutes(wall_clock() - dated)} old" if dated else "no figures"
    if look is None:
        badge, text = "unknown", "not asked yet"
    elif look.error:
        badge, text = "down", f"{look.error.detail}; {age}"
    else:
        stale = dated is None or wall_clock() - dated > (target.static.value(c.THRESHOLD_POOL_DATA_AGE) or 0)
        badge, text = ("warn", f"stale: {age}") if stale else ("ok", age)
    name = escape(target.instance)
    return (
        f'<p><span class="badge {badge}">{badge}</span> pool '
        f'<a href="/probe?target={quote(target.instance, safe="")}&amp;debug=true">{name}</a>: '
        f"{escape(text)}</p>"
    )


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
