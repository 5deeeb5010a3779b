"""What Alertmanager would have sent of a replay's alerts: its routes, groups, inhibitions and repeats.

A model, since the real one lives in real time; what it models is
https://prometheus.io/docs/alerting/latest/configuration/ and the notification log's rule for when a group is
sent again. ``tests/e2e`` hold the real one to the same file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from exporter.units import duration_seconds
from scripts.quality.rules import Firing
from scripts.quality.store import Labels

_MATCHER = re.compile(r'\s*([a-zA-Z_][\w.]*)\s*(=~|!~|!=|=)\s*"?((?:[^"\\]|\\.)*)"?\s*')


class _Matcher(NamedTuple):
    label: str
    operator: str
    value: str

    def takes(self, labels: Labels) -> bool:
        found = labels.get(self.label, "")
        if self.operator in ("=", "!="):
            return (found == self.value) is (self.operator == "=")
        return bool(re.fullmatch(self.value, found)) is (self.operator == "=~")


def _matchers(texts: Sequence[str]) -> list[_Matcher]:
    found = []
    for text in texts:
        parts = _MATCHER.fullmatch(text)
        if parts is None:
            raise ValueError(f"expected a matcher, found {text!r}")
        found.append(_Matcher(parts[1], parts[2], parts[3].replace(r"\"", '"').replace("\\\\", "\\")))
    return found


class Route(NamedTuple):
    """Where alerts go, and in what bundles; times in steps of the replay."""

    receiver: str
    group_by: tuple[str, ...]
    wait: int
    interval: int
    repeat: int


class Message(NamedTuple):
    """One notification to one receiver: the *opened* alerts are new in it, *closed* are over."""

    time: int
    receiver: str
    firing: tuple[Firing, ...]
    opened: tuple[Firing, ...]
    closed: tuple[Firing, ...]


class Inbox:
    """Alertmanager's configuration; *step* is the replay's, in seconds."""

    def __init__(self, file: Path, step: int) -> None:
        self._config = yaml.safe_load(file.read_text("utf-8"))
        self._step = step
        self._inhibits = [
            (
                _matchers(rule.get("source_matchers", [])),
                _matchers(rule.get("target_matchers", [])),
                tuple(rule.get("equal", [])),
            )
            for rule in self._config.get("inhibit_rules", [])
        ]

    def routes(self, labels: Labels) -> list[Route]:
        """Where an alert goes."""
        return self._routes(self._config["route"], {}, labels)

    def _routes(self, node: Mapping[str, Any], above: Mapping[str, Any], labels: Labels) -> list[Route]:
        if not all(one.takes(labels) for one in _matchers(node.get("matchers", []))):
            return []
        own = {**above, **{key: value for key, value in node.items() if key not in ("routes", "matchers")}}
        found: list[Route] = []
        for child in node.get("routes", []):
            below = self._routes(child, own, labels)
            found += below
            if below and not child.get("continue", False):
                return found
        return found or [
            Route(
                own["receiver"],
                tuple(own.get("group_by", [])),
                self._steps(own.get("group_wait", "30s")),
                self._steps(own.get("group_interval", "5m")),
                self._steps(own.get("repeat_interval", "4h")),
            )
        ]

    def _steps(self, duration: object) -> int:
        return max(1, int(-(-duration_seconds(duration) // self._step)))

    def messages(self, firings: Sequence[Firing]) -> list[Message]:
        """Everything sent, in order of time."""
        groups: dict[tuple[Route, tuple[str, ...]], list[Firing]] = {}
        for firing in firings:
            labels = {"alertname": firing.alert, **firing.labels}
            for route in self.routes(labels):
                by = sorted(labels) if route.group_by == ("...",) else route.group_by
                groups.setdefault((route, tuple(labels.get(name, "") for name in by)), []).append(firing)
        muted = {firing: self._muters(firing, firings) for firing in set(map(_hashable, firings))}
        sent = [
            message
            for (route, _), members in groups.items()
            for message in self._group(route, sorted(members, key=lambda one: one.first), muted)
        ]
        return sorted(sent, key=lambda message: message.time)

    def _muters(self, firing: object, firings: Sequence[Firing]) -> list[Firing]:
        """The alerts that keep this one from being sent while they fire."""
        assert isinstance(firing, _Key)
        target = {"alertname": firing.alert, **dict(firing.labels)}
        muters = []
        for sources, targets, equal in self._inhibits:
            if not all(one.takes(target) for one in targets):
                continue
            # Of alerts that are both, none silences another.
            both = all(one.takes(target) for one in sources)
            for other in firings:
                source = {"alertname": other.alert, **other.labels}
                if (
                    other.first < firing.last
                    and firing.first < other.last
                    and all(one.takes(source) for one in sources)
                    and not (both and all(one.takes(source) for one in targets))
                    and all(source.get(name, "") == target.get(name, "") for name in equal)
                ):
                    muters.append(other)
        return muters

    @staticmethod
    def _group(
        route: Route, members: Sequence[Firing], muted: Mapping[_Key, Sequence[Firing]]
    ) -> list[Message]:
        sent: list[Message] = []
        told: set[_Key] = set()
        told_over: set[_Key] = set()
        last_sent = 0
        position = 0
        while position < len(members):
            # The group is made by its first alert and lives until the last of it is over.
            held: list[Firing] = []
            now = members[position].first + route.wait
            while True:
                while position < len(members) and members[position].first <= now:
                    held.append(members[position])
                    position += 1
                loud = [
                    one for one in held if not any(m.first <= now < m.last for m in muted[_hashable(one)])
                ]
                firing = [one for one in loud if now < one.last]
                over = [one for one in loud if one.last <= now]
                opened = [one for one in firing if _hashable(one) not in told]
                closed = [one for one in over if _hashable(one) in told and _hashable(one) not in told_over]
                if opened or closed or (firing and now - last_sent >= route.repeat):
                    sent.append(Message(now, route.receiver, tuple(firing), tuple(opened), tuple(closed)))
                    told = {_hashable(one) for one in firing}
                    told_over = {_hashable(one) for one in over}
                    last_sent = now
                held = [one for one in held if now < one.last]
                if not held:
                    break
                now += route.interval
        return sent


class _Key(NamedTuple):
    alert: str
    labels: tuple[tuple[str, str], ...]
    first: int
    last: int


def _hashable(firing: Firing) -> _Key:
    return _Key(firing.alert, tuple(sorted(firing.labels.items())), firing.first, firing.last)
