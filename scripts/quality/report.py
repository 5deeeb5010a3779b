"""What a replay shows: which faults were found, by what, how soon, in how many messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

from scripts.quality.faults import EXPORTER, FLEET, POOL, Fault
from scripts.quality.inbox import Message
from scripts.quality.rules import Firing
from scripts.quality.store import Grid

# What follows from a fault may fire when it is over: the rules look back so far.
_AFTERMATH_SECONDS = 3600.0
# An alert that fires so much of the time is meant to: a watchdog.
_ALWAYS = 0.95
_DAY = 86_400.0


@dataclass
class Found:
    """What came of one fault."""

    fault: Fault
    by: Firing | None = None
    messages: list[Message] = field(default_factory=list)

    def seconds(self, grid: Grid) -> float | None:
        """Seconds from the fault's start until the alert fired; ``None`` if none did."""
        return None if self.by is None else max(0.0, self.by.first * grid.step - self.fault.start)

    def late(self, grid: Grid) -> bool:
        """Whether it took longer than wanted."""
        taken = self.seconds(grid)
        return self.fault.within is not None and (taken is None or taken > self.fault.within)


class Findings:
    """Faults and alerts held against each other."""

    def __init__(
        self, grid: Grid, miners: Sequence[str], faults: Sequence[Fault], firings: Iterable[Firing]
    ) -> None:
        self.grid = grid
        self.miners = miners
        self._workers = {f"account.{name}": name for name in miners}
        self.always = sorted({one.alert for one in firings if (one.last - one.first) >= _ALWAYS * grid.size})
        self.firings = sorted(
            (one for one in firings if one.alert not in self.always), key=lambda one: one.first
        )
        # Faults that are to wake nobody excuse nothing.
        self.found = [Found(fault) for fault in faults if fault.alerts]
        self.quiet = [fault for fault in faults if not fault.alerts]
        self.causes = [[one for one in self.found if self._of(firing, one.fault)] for firing in self.firings]
        self.false = [firing for firing, causes in zip(self.firings, self.causes, strict=True) if not causes]
        for firing, causes in zip(self.firings, self.causes, strict=True):
            for one in causes:
                if firing.alert in one.fault.alerts and one.by is None and self._within(firing, one.fault):
                    one.by = firing

    @property
    def miner_days(self) -> float:
        """What was watched."""
        return len(self.miners) * self.grid.size * self.grid.step / _DAY

    @property
    def missed(self) -> list[Fault]:
        """Faults no alert told of."""
        return [one.fault for one in self.found if one.by is None]

    def loud(self) -> list[Firing]:
        """The alerts that are sent: not those their owner silenced beforehand, and those of watchdogs."""
        return [
            firing
            for firing, causes in zip(self.firings, self.causes, strict=True)
            if not (causes and all(one.fault.silenced for one in causes))
        ]

    def deliver(self, messages: Iterable[Message]) -> None:
        """Give each fault the messages that came of it."""
        causes = {id_of(firing): causes for firing, causes in zip(self.firings, self.causes, strict=True)}
        for message in messages:
            told = (*message.firing, *message.closed)
            for one in {id(one): one for firing in told for one in causes[id_of(firing)]}.values():
                one.messages.append(message)

    def false_per_thousand(self, alert: str | None = None) -> float:
        """False alarms in a thousand miner-days."""
        count = sum(alert is None or one.alert == alert for one in self.false)
        return 1000 * count / self.miner_days

    def _targets(self, firing: Firing) -> set[str] | None:
        """What an alert is about; ``None`` if it is about everything."""
        labels = firing.labels
        targets = {EXPORTER, FLEET}
        miner = self._workers.get(labels.get("worker", ""), labels.get("miner") or labels.get("instance", ""))
        if miner in self.miners:
            targets |= {miner, miner.partition("-")[0]}
            if firing.labels.get("worker") or "Pool" in firing.alert or "Share" in firing.alert:
                targets.add(POOL)
            return targets
        if labels.get("site"):
            site = labels["site"]
            return targets | {site, *(name for name in self.miners if name.startswith(f"{site}-"))}
        if labels.get("instance") or labels.get("account"):
            return targets | {POOL}
        return None

    def _of(self, firing: Firing, fault: Fault) -> bool:
        targets = self._targets(firing)
        step = self.grid.step
        return (
            (targets is None or fault.target in targets)
            and firing.first * step < fault.end + _AFTERMATH_SECONDS
            and firing.last * step > fault.start
        )

    def _within(self, firing: Firing, fault: Fault) -> bool:
        return fault.start - self.grid.step <= firing.first * self.grid.step < fault.end + self.grid.step


def id_of(firing: Firing) -> tuple[str, tuple[tuple[str, str], ...], int]:
    """What tells an alert from all others of a replay."""
    return firing.alert, tuple(sorted(firing.labels.items())), firing.first


def span(seconds: float | None) -> str:
    """A time as people say it."""
    if seconds is None:
        return "—"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours = minutes / 60
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} d"


def markdown(findings: Findings, alerts: Sequence[str], head: Mapping[str, str]) -> str:
    """The page of a replay."""
    grid, found = findings.grid, findings.found
    lines = [
        "# Alert quality",
        "",
        "`make alert-quality` wrote this page and everything on it: the shipped rules, replayed over weeks",
        "of a simulated fleet in which a list of things go wrong. What it does, and how to bring your own",
        "faults: [alert-faults.md](alert-faults.md).",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in head.items()),
        "",
        "## Aims",
        "",
        "| aim | measured | reached |",
        "|---|---|---|",
        *(
            f"| {aim} | {measured} | {'yes' if good else '**no**'} |"
            for aim, measured, good in aims(findings)
        ),
        "",
        "## By alert",
        "",
        "A fault is one alert's if the list says that the alert is to find it. *Beside*: it fired while",
        "something else was wrong with the same miner. *False*: it fired, and nothing on the list was wrong.",
        "",
        "| alert | faults | found | missed | median delay | longest delay | beside | false | false per 1,000"
        " miner-days |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for alert in dict.fromkeys(alerts):
        own = [one for one in found if alert in one.fault.alerts]
        # A fault that two alerts may find counts as found for both, and is missed only by the first.
        hits = [one for one in own if one.by is not None]
        delays = [
            delay
            for one in hits
            if one.by and one.by.alert == alert and (delay := one.seconds(grid)) is not None
        ]
        missed = sum(one.by is None for one in own if one.fault.alerts[0] == alert)
        fired = [
            causes
            for firing, causes in zip(findings.firings, findings.causes, strict=True)
            if firing.alert == alert
        ]
        beside = sum(
            bool(causes) and all(alert not in one.fault.alerts for one in causes) for causes in fired
        )
        false = sum(not causes for causes in fired)
        if alert in findings.always:
            lines.append(f"| {alert} | always fires, as it is meant to | | | | | | | |")
            continue
        lines.append(
            f"| {alert} | {len(own)} | {len(hits)} | {missed} | {span(median(delays) if delays else None)}"
            f" | {span(max(delays, default=None))} | {beside} | {false}"
            f" | {findings.false_per_thousand(alert):.2f} |"
        )
    lines += [
        "",
        "## By fault",
        "",
        "*Messages* are what Alertmanager's configuration makes of it, to one receiver each: those that tell",
        "of something new, reminders, and those that only say that something is over.",
        "",
        "| day | what | found by | delay | wanted | new | reminders | over |",
        "|--:|---|---|--:|--:|--:|--:|--:|",
    ]
    for one in found:
        opened = sum(bool(message.opened) for message in one.messages)
        closed = sum(not message.opened and bool(message.closed) for message in one.messages)
        again = len(one.messages) - opened - closed
        counts = "silenced | | " if one.fault.silenced else f"{opened} | {again} | {closed}"
        wanted = span(one.fault.within) if one.fault.within is not None else ""
        by = one.by.alert if one.by else "**nothing**"
        taken = span(one.seconds(grid))
        lines.append(
            f"| {one.fault.start / _DAY:.1f} | {one.fault.about} | {by} |"
            f" {f'**{taken}**' if one.late(grid) else taken} | {wanted} | {counts} |"
        )
    counts_new = [
        sum(bool(m.opened) for m in one.messages) for one in found if not one.fault.silenced and one.by
    ]
    if counts_new:
        lines += [
            "",
            f"One cause makes {median(counts_new):g} new messages in the middle, {max(counts_new)} at most.",
        ]
    growing = [
        one
        for one in found
        if one.by and any(first != last for first, last in (one.fault.grows or {}).values())
    ]
    if growing:
        lines += ["", "## Foretold", "", "| what grew worse | told before its end |", "|---|--:|"]
        lines += [
            f"| {one.fault.about} | {span(one.fault.end - one.by.first * grid.step)} |"
            for one in growing
            if one.by
        ]
    lines += ["", "## False alarms", ""]
    if findings.false:
        lines += ["| day | alert | of | for |", "|--:|---|---|--:|"]
        lines += [
            f"| {one.first * grid.step / _DAY:.2f} | {one.alert} | {_subject(one)} |"
            f" {span((one.last - one.first) * grid.step)} |"
            for one in findings.false[:40]
        ]
        if len(findings.false) > 40:
            lines += ["", f"And {len(findings.false) - 40} more."]
    else:
        lines.append("None.")
    lines += ["", "## What must wake nobody, and was among it all", ""]
    lines += [f"- day {fault.start / _DAY:.1f}: {fault.about}" for fault in findings.quiet]
    lines += [
        "- and of each miner, at random, restarts, reboots and tunings; weather, day and night, prices, luck",
        "",
    ]
    return "\n".join(lines)


def _subject(firing: Firing) -> str:
    keys = ("instance", "worker", "board", "fan", "site", "pool", "severity")
    return ", ".join(f"{firing.labels[key]}" for key in keys if firing.labels.get(key)) or "everything"


def aims(findings: Findings) -> list[tuple[str, str, bool]]:
    """What was wanted, what was measured, and whether it is good enough."""
    timed = [one for one in findings.found if one.fault.within is not None]
    late = [one for one in timed if one.late(findings.grid)]
    rate = findings.false_per_thousand()
    return [
        ("nothing missed", f"{len(findings.missed)} of {len(findings.found)} missed", not findings.missed),
        (
            "fewer than 1 false alarm in 1,000 miner-days",
            f"{rate:.2f} ({len(findings.false)} in {findings.miner_days:,.0f} miner-days)",
            rate < 1,
        ),
        *(
            (
                f"{one.fault.about}: within {span(one.fault.within)}",
                span(one.seconds(findings.grid)) if one.by else "not found",
                one not in late,
            )
            for one in timed
        ),
    ]
