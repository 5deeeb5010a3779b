"""The shipped rules: what they read, in which order they must be computed, and when their alerts fire."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import promql_parser
import yaml
from numpy.typing import NDArray

from exporter.units import duration_seconds
from scripts.quality.store import Grid, Labels, Series, Store

# How an alert's rule asks whether it fires already; it may look back so far.
_OWN_ALERT = re.compile(r"last_over_time\(ALERTS(\{[^}]*\})\[(\w+)\]\)")
# Rounds after which a rule that reads its own results must have settled.
_MOST_ROUNDS = 40


class RuleError(Exception):
    """Rules that cannot be replayed; the text says which, and why."""


class Selector(NamedTuple):
    """What an expression reads: a metric and the matchers on its labels."""

    name: str
    matchers: tuple[tuple[str, str, str], ...]

    def takes(self, labels: Labels) -> bool:
        """Whether a series is selected."""
        return self.name == labels["__name__"] and all(
            _matches(operator, value, labels.get(label, "")) for label, operator, value in self.matchers
        )


def _matches(operator: str, value: str, found: str) -> bool:
    if operator in ("=", "!="):
        return (found == value) is (operator == "=")
    return bool(re.fullmatch(value, found)) is (operator == "=~")


_OPERATORS = {"Equal": "=", "NotEqual": "!=", "Re": "=~", "NotRe": "!~"}


def selectors(expression: str) -> list[Selector]:
    """Every selector of an expression."""
    found: list[Selector] = []

    def note(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            name, matchers = node.name, []
            for one in node.matchers.matchers:
                if one.name == "__name__":
                    name = one.value
                else:
                    matchers.append((one.name, _OPERATORS[str(one.op).rpartition(".")[2]], one.value))
            if not name:
                raise RuleError(f"a selector without a name of a metric: {node}")
            found.append(Selector(name, tuple(matchers)))

    promql_parser.walk(promql_parser.parse(expression), note)
    return found


@dataclass(frozen=True, slots=True)
class Rule:
    """A recording rule, with *record*, or an alert; times in seconds."""

    name: str
    expr: str
    record: bool
    labels: Labels
    hold: float = 0.0
    keep: float = 0.0
    reads: tuple[Selector, ...] = field(default=(), compare=False)

    @property
    def own_seconds(self) -> float | None:
        """How far an alert's rule looks back for its own firing; ``None`` if it does not look."""
        found = _OWN_ALERT.search(self.expr)
        return duration_seconds(found[2]) if found else None

    def makes(self, selector: Selector) -> bool:
        """Whether a selector may take what this rule records, by the labels the rule sets itself."""
        return (
            self.record
            and selector.name == self.name
            and all(
                _matches(operator, value, self.labels[label])
                for label, operator, value in selector.matchers
                if label in self.labels
            )
        )


def load(files: Iterable[Path]) -> list[Rule]:
    """The rules of *files* in an order in which each comes after those it reads.

    Recording rules that no alert reads, however indirectly, are left out.

    Raises:
        RuleError: two rules read each other.
    """
    rules = [
        Rule(
            str(item.get("record") or item["alert"]),
            str(item["expr"]),
            "record" in item,
            {name: str(value) for name, value in item.get("labels", {}).items()},
            duration_seconds(item.get("for", "0")),
            duration_seconds(item.get("keep_firing_for", "0")),
            tuple(selectors(str(item["expr"]))),
        )
        for file in files
        for group in yaml.safe_load(file.read_text("utf-8"))["groups"]
        for item in group["rules"]
    ]
    reads = {
        number: {
            other
            for other, maker in enumerate(rules)
            if maker is not rule and maker.record and any(maker.makes(one) for one in rule.reads)
        }
        for number, rule in enumerate(rules)
    }
    try:
        # In the order of the files, but for what is read before it would be there.
        order = list(TopologicalSorter({n: sorted(reads[n]) for n in reads}).static_order())
    except CycleError as error:
        names = dict.fromkeys(rules[number].name for number in error.args[1])
        raise RuleError(f"these rules read each other: {', '.join(names)}") from None
    wanted: set[int] = set()
    unseen = {number for number, rule in enumerate(rules) if not rule.record}
    while unseen:
        wanted |= unseen
        unseen = set().union(*(reads[number] for number in unseen)) - wanted
    kept = [rules[number] for number in order if number in wanted]
    return [*(rule for rule in kept if rule.record), *(rule for rule in rules if not rule.record)]


def raw(rules: Sequence[Rule]) -> list[Selector]:
    """What the rules read that no rule makes."""
    made = {rule.name for rule in rules if rule.record} | {"ALERTS", "ALERTS_FOR_STATE"}
    return sorted({one for rule in rules for one in rule.reads if one.name not in made})


class Firing(NamedTuple):
    """An alert that fired from the time numbered *first* to before *last*."""

    alert: str
    labels: Labels
    first: int
    last: int


class Replay:
    """The rules over a store's series, part by part of a grid, as Prometheus would have evaluated them.

    A rule that reads its own earlier results is computed again and again, each time reading what it is
    thought to have been, until it comes out as it was thought: since it reads of itself only what was
    before, that is what evaluating it step by step comes to.
    """

    def __init__(self, rules: Sequence[Rule], store: Store, grid: Grid) -> None:
        self._rules = rules
        self._store = store
        self._grid = grid
        self._rounds = 0
        self._before: dict[str, tuple[Grid, list[Series]]] = {}
        # What rules have recorded under each name in the part under way.
        self._recorded: dict[str, list[Series]] = {}
        # Of each alert and set of labels, whether its expression held, at every time.
        self._held: list[dict[tuple[tuple[str, str], ...], NDArray[np.bool_]]] = [{} for _ in rules]
        # The same of those that ask whether they fire already, if they always did.
        self._still: list[dict[tuple[tuple[str, str], ...], NDArray[np.bool_]]] = [{} for _ in rules]

    def run(self, part_count: int, tell: Callable[[str], None] = lambda _text: None) -> list[Firing]:
        """Evaluate everything, *part_count* times at once; which alerts fired when."""
        for first in range(0, self._grid.size, part_count):
            part = self._grid.part(first, part_count)
            self._recorded.clear()
            for number, rule in enumerate(self._rules):
                if rule.record:
                    self._record(rule, part)
                else:
                    self._alert(number, rule, first, part)
            tell(f"rules replayed to {100 * (first + part.size) // self._grid.size} %")
        firings: list[Firing] = []
        for rule, held, still in zip(self._rules, self._held, self._still, strict=True):
            for labels, times in held.items():
                firings += self._firings(rule, dict(labels), self._open(rule, times, still.get(labels)))
        return firings

    def _record(self, rule: Rule, part: Grid) -> None:
        if any(rule.makes(one) for one in rule.reads):
            results = self._settled(rule, part)
            self._before[rule.expr] = (part, results)
        else:
            results = self._results(rule, rule.expr, part)
        self._recorded.setdefault(rule.name, []).extend(results)
        self._store.write(results, part)
        self._store.flush()

    def _results(self, rule: Rule, expr: str, part: Grid) -> list[Series]:
        merged: dict[tuple[tuple[str, str], ...], Series] = {}
        for one in self._store.query(expr, part):
            labels = {**one.labels, **rule.labels, "__name__": rule.name}
            key = tuple(sorted(labels.items()))
            # What differs in its name only, of a held value and a new one, is one series of the rule.
            before = merged.get(key)
            values = one.values if before is None else np.fmax(before.values, one.values)
            merged[key] = Series(labels, values)
        return list(merged.values())

    def _settled(self, rule: Rule, part: Grid) -> list[Series]:
        own = re.compile(rf"(?<![\w:]){re.escape(rule.name)}(?![\w:])")
        held = re.compile(rf"last_over_time\({re.escape(rule.name)}:round\d+(?:{{[^}}]*}})?\[\w+\]\)")
        results: list[Series] = []
        for _ in range(_MOST_ROUNDS):
            self._rounds += 1
            name = f"{rule.name}:round{self._rounds}"
            # A millisecond late: a rule sees of itself what was before, and not what it is about to write.
            for grid, known in (
                *([self._before[rule.expr]] if rule.expr in self._before else []),
                (part, results),
            ):
                self._store.write(
                    (Series({**one.labels, "__name__": name}, one.values) for one in known), grid, shift_ms=1
                )
            # Other rules record under the same name too.
            others = self._recorded.get(rule.name, [])
            self._store.write((Series({**one.labels, "__name__": name}, one.values) for one in others), part)
            self._store.flush()
            # VictoriaMetrics 1.112 and later takes what has a name and what has none for two series, and of
            # a range lets the third of three alternatives stand beside the second.
            expr = held.sub(r'label_replace(\g<0>, "__name__", "", "", "")', own.sub(name, rule.expr))
            again = self._results(rule, expr, part)
            if _same(results, again):
                return again
            results = _held_on(again, results)
        raise RuleError(f"{rule.name} reads itself and did not settle in {_MOST_ROUNDS} rounds")

    def _alert(self, number: int, rule: Rule, first: int, part: Grid) -> None:
        if rule.own_seconds is None:
            self._note(self._held[number], rule, rule.expr, first, part)
            return
        self._note(self._held[number], rule, rule.expr.replace("ALERTS{", "ALERTS:never{"), first, part)
        always = {"__name__": "ALERTS:always", "alertname": rule.name, "alertstate": "firing"}
        ones = np.ones(part.size)
        self._store.write((Series({**dict(labels), **always}, ones) for labels in self._held[number]), part)
        self._store.flush()
        self._note(self._still[number], rule, rule.expr.replace("ALERTS{", "ALERTS:always{"), first, part)

    def _note(
        self,
        held: dict[tuple[tuple[str, str], ...], NDArray[np.bool_]],
        rule: Rule,
        expr: str,
        first: int,
        part: Grid,
    ) -> None:
        """When an expression held in a part, by labels."""
        for one in self._store.query(expr, part):
            labels = {**one.labels, **rule.labels}
            labels.pop("__name__", None)
            # A label may be a template; which alert it is does not hang on that.
            key = tuple(sorted(labels.items()))
            times = held.setdefault(key, np.zeros(self._grid.size, dtype=np.bool_))
            times[first : first + part.size] |= ~np.isnan(one.values)

    def _open(
        self, rule: Rule, held: NDArray[np.bool_], still: NDArray[np.bool_] | None
    ) -> NDArray[np.bool_]:
        """When the expression held: by itself, and while it is *still* so after the alert has fired."""
        if rule.own_seconds is None or still is None:
            return held
        hold, keep, back = (self._steps(one) for one in (rule.hold, rule.keep, rule.own_seconds))
        opened = held.copy()
        run, last, fired = 0, -1, -1
        for time in range(len(held)):
            if held[time] or (still[time] and 0 <= fired >= time - back):
                opened[time] = True
                run, last = run + 1, time
            else:
                run = 0
            if run > hold or (fired == time - 1 and last >= time - keep):
                fired = time
        return opened

    def _firings(self, rule: Rule, labels: Labels, held: NDArray[np.bool_]) -> list[Firing]:
        """When Prometheus would have called the alert firing, of when its expression held.

        It fires when it has held for as long as ``for``, and until it has not held for ``keep_firing_for``.
        """
        edges = np.flatnonzero(np.diff(held.astype(np.int8), prepend=0, append=0))
        firings: list[Firing] = []
        for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            if firings and begin <= firings[-1].last:
                # Kept firing: it never went out.
                firings[-1] = firings[-1]._replace(last=end + self._steps(rule.keep))
                continue
            first = begin + self._steps(rule.hold)
            if first < end:
                firings.append(Firing(rule.name, labels, first, end + self._steps(rule.keep)))
        return [one._replace(last=min(one.last, self._grid.size)) for one in firings]

    def _steps(self, duration: float) -> int:
        return int(-(-duration // self._grid.step))


def _held_on(results: Sequence[Series], thought: Sequence[Series]) -> list[Series]:
    """A better thought: where a result is what was thought of the time before, it is held from there on."""
    before = {tuple(sorted(series.labels.items())): series.values for series in thought}
    better = []
    for one in results:
        values = before.get(tuple(sorted(one.labels.items())))
        if values is not None:
            held = np.concatenate([[False], one.values[1:] == values[:-1]])
            since = np.maximum.accumulate(np.where(held, 0, np.arange(len(held))))
            one = Series(one.labels, one.values[since])
        better.append(one)
    return better


def _same(one: Sequence[Series], other: Sequence[Series]) -> bool:
    if len(one) != len(other):
        return False
    values = {tuple(sorted(series.labels.items())): series.values for series in one}
    return all(
        (key := tuple(sorted(series.labels.items()))) in values
        and np.array_equal(values[key], series.values, equal_nan=True)
        for series in other
    )
