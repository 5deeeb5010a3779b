"""A fleet over weeks, minute by minute: the exporter's pages, moved by weather, luck and faults.

Physics is the simulator's, taken once a condition; what moves between two conditions is added here, whole
series at a time. Shares are Poisson processes whose rates are the miners' hashes, and what the account
credits are those same shares: nothing compares a figure with itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from exporter import catalogue as c
from exporter.simulator.hardware import HARDWARE, Hardware
from exporter.simulator.miner import DEVFEE_DIFFICULTY, DEVFEE_RATIO
from exporter.simulator.simulation import MinerSpec
from scripts.quality.faults import EXPORTER, FLEET, POOL, WIRE_FAULTS, Fault
from scripts.quality.pages import WELL, Condition, Key, Pages, Samples
from scripts.quality.rules import Selector
from scripts.quality.store import Grid, Series, Values

DAY = 86_400
# After power comes back: nobody answers, then the states that lead to mining; in minutes.
_BOOTING, _STARTING, _INITIALIZING = 1, 1, 2
# Share of the nominal rate in the first minutes of mining.
_RAMP = (0.35, 0.8, 0.95)
_REJECTED, _STALE = 0.002, 0.001
# A miner's rate of this moment wavers by so much, board by board, and the firmware's measure with it.
_BOARD_NOISE = 0.015
_RESTARTS_A_WEEK = 0.35
_TUNINGS_A_WEEK = 0.12
_PRICE_NOISE_A_DAY = 0.03

_HASHRATES = {c.HASHRATE.name, c.HASHRATE_AVERAGE.name, c.DEVFEE_HASHRATE.name}
_TEMPERATURES = {
    metric.name
    for metric in (
        c.CHIP_TEMPERATURE_MIN,
        c.CHIP_TEMPERATURE_MAX,
        c.PCB_TEMPERATURE_MIN,
        c.PCB_TEMPERATURE_MAX,
        c.WATER_TEMPERATURE,
        c.PSU_TEMPERATURE,
        c.BOARD_CHIP_TEMPERATURE_MIN,
        c.BOARD_CHIP_TEMPERATURE_MAX,
        c.BOARD_PCB_TEMPERATURE_MIN,
        c.BOARD_PCB_TEMPERATURE_MAX,
        c.BOARD_WATER_TEMPERATURE,
        c.BOARD_SENSOR,
    )
}
_POOL_COUNTERS = {c.POOL_ACCEPTED.name: "good", c.POOL_REJECTED.name: "bad", c.POOL_STALE.name: "late"}
_WORKER_COUNTERS = {
    c.MINING_POOL_WORKER_HASHES_ACCEPTED.name: "good",
    c.MINING_POOL_WORKER_HASHES_REJECTED.name: "bad",
    c.MINING_POOL_WORKER_HASHES_STALE.name: "late",
}
_PRICED = {
    metric.name for metric in (c.MINING_POOL_USD, c.MINING_POOL_BTC, c.COIN_PRICE_USD, c.COIN_PRICE_BTC)
}
_POOL_TIMES = {
    metric.name
    for metric in (
        c.MINING_POOL_DATA_TIMESTAMP,
        c.MINING_POOL_LAST_SUCCESS,
        c.MINING_POOL_ALGORITHM_TIMESTAMP,
        c.MINING_POOL_SERVER_TIMESTAMP,
        c.MINING_POOL_LAST_UPDATE,
    )
}
_WINDOWS = {"now": 600, "10m": 600, "1h": 3600, "24h": DAY}


@dataclass(slots=True)
class Shares:
    """What a miner found for its owner, minute by minute, and what of it its pool credited."""

    good: Values
    bad: Values
    late: Values
    credited: Values
    hashes: float


@dataclass
class Life:
    """A miner's weeks: for each minute the number of its condition, and since when it mines and runs."""

    conditions: list[Condition]
    which: NDArray[np.int64]
    mining_since: NDArray[np.int64]
    booted: NDArray[np.int64]
    tuning: NDArray[np.bool_]
    number: dict[Condition, int] = field(default_factory=dict)


class VirtualFleet:
    """The series of a fleet that lives through *faults*; only what *wanted* selects is made."""

    def __init__(
        self,
        pages: Pages,
        miners: Sequence[MinerSpec],
        grid: Grid,
        faults: Sequence[Fault],
        wanted: Iterable[Selector],
        seed: int,
    ) -> None:
        self._pages = pages
        self._miners = miners
        self._grid = grid
        self._faults = faults
        self._seed = seed
        self._times = grid.times().astype(np.float64)
        self._wanted: dict[str, list[Selector]] = {}
        for one in wanted:
            self._wanted.setdefault(one.name, []).append(one)
        self.shares: dict[str, Shares] = {}
        self._makers: list[Callable[[], list[Series]]] = []
        rng = self._rng("weather")
        # The air: warm in the afternoon, and warmer or colder days.
        days = 2 + grid.size * grid.step // DAY
        weather = np.zeros(days)
        for day in range(1, days):
            weather[day] = 0.8 * weather[day - 1] + rng.normal(0, 1.5)
        date = (self._times - grid.start) / DAY
        self._air = np.interp(date, np.arange(days), weather) + 3.0 * np.sin(2 * np.pi * (date - 0.375))
        steps = rng.normal(0, _PRICE_NOISE_A_DAY * np.sqrt(grid.step / DAY), grid.size)
        self._price = np.exp(np.cumsum(steps))
        for fault in self._of(FLEET):
            if fault.kind == "prices":
                self._price[self._span(fault)] *= fault.parameters(0)[0][1]
        self._alive = np.ones(grid.size, dtype=bool)
        for fault in self._of(EXPORTER):
            if fault.kind == "dead":
                self._alive[self._span(fault)] = False

    def _rng(self, name: str) -> np.random.Generator:
        return np.random.default_rng([self._seed, *name.encode()])

    def _of(self, *targets: str) -> list[Fault]:
        return [fault for fault in self._faults if fault.target in targets]

    def _span(self, fault: Fault) -> slice:
        step = self._grid.step
        return slice(int(fault.start // step), max(int(fault.start // step) + 1, int(fault.end // step)))

    def _takes(self, key: Key) -> bool:
        labels = dict(key)
        return any(one.takes(labels) for one in self._wanted.get(labels["__name__"], ()))

    def series(self) -> Iterator[list[Series]]:
        """All series, a miner or pool at a time, so that few are in memory at once."""
        return (make() for make in self._makers)

    async def prepare(self) -> None:
        """Ask the pages of every condition, and find the shares."""
        made = self._makers
        for spec in self._miners:
            life = self._life(spec)
            known = [await self._pages.miner(spec.name, condition) for condition in life.conditions]
            well = known[life.number[WELL]]
            hardware = HARDWARE[spec.model]
            self.shares[spec.name] = self._found(spec, hardware, life, known, well)
            made.append(_bound(self._miner_series, spec, hardware, life, known, well))
        states = self._account_states()
        accounts = [await self._pages.account(condition) for condition in states[0]]
        made.append(_bound(self._account_series, states[1], accounts))
        made.append(_bound(self._own_series, await self._pages.exporter()))

    # A miner's life.

    def _life(self, spec: MinerSpec) -> Life:
        count, step = self._grid.size, self._grid.step
        rng = self._rng(f"life {spec.name}")
        site = spec.name.partition("-")[0]
        faults = [
            fault
            for fault in self._of(spec.name, site, FLEET)
            if fault.kind not in ("figures", "prices", "no_shares", "uncredited")
        ]
        state = np.full(count, "mining", dtype=object)
        tuning = np.zeros(count, dtype=bool)
        mining_since = np.zeros(count, dtype=np.int64)
        booted = np.zeros(count, dtype=np.int64)
        unanswered = np.zeros(count, dtype=bool)
        age = int(rng.integers(2 * DAY, 40 * DAY)) // step
        starts: list[tuple[int, bool]] = [(-age, True)]

        def restart(at: int, *, boot: bool) -> None:
            """The minutes until it mines again."""
            at = min(at, count)
            if boot:
                unanswered[at : at + _BOOTING] = True
                at += _BOOTING
            state[at : at + _STARTING] = "starting"
            init = _INITIALIZING + int(rng.integers(0, 3))
            state[at + _STARTING : at + _STARTING + init] = "initializing"
            starts.append((at + _STARTING + init, boot))

        def tune(at: int, minutes: int) -> None:
            restart(at, boot=False)
            begin = starts[-1][0]
            tuning[begin : begin + minutes] = state[begin : begin + minutes] == "mining"
            starts.append((begin + minutes, False))

        weeks = count * step / (7 * DAY)
        busy = np.zeros(count, dtype=bool)
        for fault in faults:
            # Luck leaves a miner alone around what is on the list, so that what is found is the list's.
            busy[max(0, int(fault.start - DAY / 4) // step) : int(fault.end + DAY / 4) // step + 1] = True
        for _ in range(rng.poisson(_RESTARTS_A_WEEK * weeks)):
            at = int(rng.integers(60, count))
            if not busy[at]:
                restart(at, boot=bool(rng.random() < 0.3))
        for _ in range(rng.poisson(_TUNINGS_A_WEEK * weeks)):
            at = int(rng.integers(60, count))
            if not busy[at]:
                tune(at, int(rng.integers(30, 120)))
        for fault in faults:
            span = self._span(fault)
            if fault.kind in ("restart", "reboot"):
                restart(span.start, boot=fault.kind == "reboot")
            elif fault.kind == "tuning":
                tune(span.start, span.stop - span.start)
            elif fault.kind == "reboot_loop":
                every = max(_BOOTING + _STARTING + _INITIALIZING + 4, int(fault.parameters(0)[0][1]) // step)
                for at in range(span.start, span.stop, every):
                    restart(at, boot=True)
            elif fault.kind in ("unplugged", "paused", "failure"):
                restart(span.stop, boot=fault.kind == "unplugged")
        for begin, boot in sorted(starts):
            mining_since[max(0, begin) :] = begin
            if boot:
                booted[max(0, begin - _STARTING - _INITIALIZING) :] = begin - _STARTING - _INITIALIZING
        life = Life([], np.zeros(count, dtype=np.int64), mining_since, booted, tuning)
        self._condition(life, WELL)
        active: list[list[tuple[str, tuple[tuple[str, float], ...]]]] = [[] for _ in range(count)]
        for fault in faults:
            if fault.kind not in ("restart", "reboot", "tuning", "reboot_loop"):
                span = self._span(fault)
                for minute in range(span.start, min(span.stop, count)):
                    active[minute].append((fault.kind, fault.parameters(minute * step)))
        for minute in np.flatnonzero(unanswered).tolist():
            active[minute].append(("unplugged", ()))
        special = (state != "mining") | tuning | np.array([bool(one) for one in active])
        for minute in np.flatnonzero(special).tolist():
            now = "auto-tuning" if tuning[minute] else state[minute]
            given = tuple(sorted(set(active[minute])))
            names = {name for name, _ in given}
            if names & {"unplugged", "paused", "failure"}:
                now = "mining"
            life.which[minute] = self._condition(life, Condition(now, given))
        return life

    @staticmethod
    def _condition(life: Life, condition: Condition) -> int:
        number = life.number.setdefault(condition, len(life.conditions))
        if number == len(life.conditions):
            life.conditions.append(condition)
        return number

    # Hashes, and shares.

    def _factor(self, spec: MinerSpec, life: Life, board: int | None) -> Values:
        """How far a rate is from what its page says, minute by minute: one board's, or all of them."""
        rng = self._rng(f"rate {spec.name}")
        noise = rng.normal(0, _BOARD_NOISE, (HARDWARE[spec.model].boards, self._grid.size))
        factor: Values = 1 + (noise.mean(axis=0) if board is None else noise[board - 1])
        minute = np.arange(self._grid.size) - life.mining_since
        for number, part in enumerate(_RAMP):
            factor[minute == number] *= part
        tuned = rng.uniform(0.7, 1.0, self._grid.size)
        factor[life.tuning] *= tuned[life.tuning]
        return factor

    def _filled(self, key: Key, life: Life, known: Sequence[Samples]) -> Values:
        """What the page says of one series in each minute's condition."""
        by_condition = np.array([page.get(key, np.nan) for page in known])
        return by_condition[life.which]

    def _found(
        self, spec: MinerSpec, hardware: Hardware, life: Life, known: Sequence[Samples], well: Samples
    ) -> Shares:
        key = next(key for key in well if ("__name__", c.HASHRATE.name) in key)
        rates = []
        for condition, page in zip(life.conditions, known, strict=True):
            wire_only = condition.faults and all(name in WIRE_FAULTS for name, _ in condition.faults)
            rates.append(well[key] if wire_only else page.get(key, 0.0))
        rate = np.array(rates)[life.which] * self._factor(spec, life, None)
        rejected = np.array(
            [
                _REJECTED
                + sum(dict(given)["percent"] / 100 for name, given in one.faults if name == "shares_rejected")
                for one in life.conditions
            ]
        )[life.which]
        share = hardware.difficulty * hardware.share_factor
        for fault in self._of(spec.name, spec.name.partition("-")[0], POOL, FLEET):
            if fault.kind == "no_shares":
                rate[self._span(fault)] = 0.0
        rng = self._rng(f"shares {spec.name}")
        found = rng.poisson(rate * self._grid.step * (1 - DEVFEE_RATIO) / share)
        bad = rng.binomial(found, rejected)
        late = rng.binomial(found - bad, _STALE)
        good = found - bad - late
        credited = good.copy()
        stolen = np.array([any(name == "wrong_worker" for name, _ in one.faults) for one in life.conditions])
        credited[stolen[life.which]] = 0
        for fault in self._of(POOL, spec.name):
            span = self._span(fault)
            if fault.kind == "skim" and fault.target == POOL:
                kept = fault.parameters(fault.start)[0][1] / 100
                credited[span] -= rng.binomial(credited[span], kept)
            elif fault.kind == "uncredited":
                credited[span] = 0
        return Shares(
            good.astype(float), bad.astype(float), late.astype(float), credited.astype(float), share
        )

    def _miner_series(
        self, spec: MinerSpec, hardware: Hardware, life: Life, known: Sequence[Samples], well: Samples
    ) -> list[Series]:
        rng = self._rng(f"figures {spec.name}")
        shares = self.shares[spec.name]
        # In a fixed order: what is drawn for one series must not hang on which others are wanted.
        keys = sorted({key for page in known for key in page if self._takes(key)})
        series = []
        # The fans make good for half of what the air does.
        warmer = 0.5 * self._air + rng.normal(0, 0.4, self._grid.size)
        for key in keys:
            labels = dict(key)
            values = self._filled(key, life, known)
            name = labels["__name__"]
            if name in _HASHRATES:
                values = values * self._factor(spec, life, None)
            elif name == c.BOARD_HASHRATE.name:
                values = values * self._factor(spec, life, int(labels["board"]))
            elif name in (c.POWER.name, c.BOARD_POWER.name):
                drawn = 0.25 + 0.75 * self._factor(spec, life, None)
                values = values * drawn * (1 + rng.normal(0, 0.004, self._grid.size))
            elif name in _TEMPERATURES:
                values = values + warmer
            elif name == c.FAN_SPEED.name:
                values = values * (1 + 0.01 * self._air + rng.normal(0, 0.006, self._grid.size))
            elif name == c.FAN_DUTY.name:
                values = np.clip(values * (1 + 0.01 * self._air), 0, 1)
            elif name == c.UPTIME.name:
                values = np.where(np.isnan(values), np.nan, self._since(life.booted))
            elif name == c.STATE_DURATION.name:
                values = np.where(values > 0, self._since(life.mining_since), values)
            elif name == c.RESTARTS.name:
                values = values + np.cumsum(np.diff(life.mining_since, prepend=life.mining_since[0]) != 0)
            elif name in (c.HARDWARE_ERRORS.name, c.BOARD_HARDWARE_ERRORS.name):
                found = rng.poisson(0.004 * self._grid.step * hardware.boards, self._grid.size).astype(float)
                values = np.where(np.isnan(values), np.nan, self._counted(found, life.mining_since))
            elif name in _POOL_COUNTERS:
                values = np.where(
                    np.isnan(values), np.nan, self._pool_counter(labels, name, shares, life, rng, hardware)
                )
            elif name == c.POOL_ACCEPTED_DIFFICULTY.name:
                counted = self._pool_counter(labels, c.POOL_ACCEPTED.name, shares, life, rng, hardware)
                difficulty = hardware.difficulty if labels["type"] == "UserPool" else DEVFEE_DIFFICULTY
                values = np.where(np.isnan(values), np.nan, counted * difficulty)
            elif name == c.POOL_LAST_SHARE_AGE.name and labels.get("pool") == "0":
                values = np.where(np.isnan(values), np.nan, self._ages(shares.good, rng))
            elif name == c.POOL_PING.name:
                values = values * np.exp(rng.normal(0, 0.15, self._grid.size))
            series.append(Series(labels, values))
        up = {
            label: value for label, value in next(iter(well)) if label in ("job", "instance", "site", "rack")
        }
        series.append(Series({"__name__": "up", **up}, np.ones(self._grid.size)))
        site = spec.name.partition("-")[0]
        return self._changed(series, self._of(spec.name, site, FLEET))

    def _since(self, begin: NDArray[np.int64]) -> Values:
        since: Values = np.maximum(0, (np.arange(self._grid.size) - begin) * self._grid.step).astype(float)
        return since

    @staticmethod
    def _counted(found: Values, begin: NDArray[np.int64]) -> Values:
        """What a counter says that begins anew at each of *begin*."""
        total = np.concatenate([[0.0], np.cumsum(found)])
        counted: Values = total[1:] - total[np.clip(begin, 0, len(found))]
        return counted

    def _pool_counter(
        self,
        labels: dict[str, str],
        name: str,
        shares: Shares,
        life: Life,
        rng: np.random.Generator,
        hardware: Hardware,
    ) -> Values:
        if labels["type"] == "UserPool":
            found = getattr(shares, _POOL_COUNTERS[name])
            if labels["pool"] != "0":
                found = np.zeros_like(found)
        else:
            work = (
                shares.good.mean()
                * shares.hashes
                * DEVFEE_RATIO
                / (DEVFEE_DIFFICULTY * hardware.share_factor)
            )
            found = np.where(
                shares.good > 0,
                rng.poisson(work if name == c.POOL_ACCEPTED.name else 0.0, self._grid.size),
                0,
            ).astype(float)
        return self._counted(found, life.mining_since)

    def _ages(self, found: Values, rng: np.random.Generator) -> Values:
        """Seconds since the last share."""
        last = np.where(found > 0, self._times, -np.inf)
        last[0] = self._times[0]
        return self._times - np.maximum.accumulate(last) + rng.exponential(1.0, self._grid.size)

    # The pool.

    def _account_states(self) -> tuple[list[Condition], NDArray[np.int64]]:
        conditions, which = [WELL], np.zeros(self._grid.size, dtype=np.int64)
        for fault in self._of(POOL):
            if fault.kind in ("figures", "no_shares", "skim"):
                continue
            conditions.append(Condition("mining", ((fault.kind, fault.parameters(0)),)))
            which[self._span(fault)] = len(conditions) - 1
        return conditions, which

    def _account_series(self, which: NDArray[np.int64], known: Sequence[Samples]) -> list[Series]:
        rng = self._rng("account")
        step, count = self._grid.step, self._grid.size
        series = []
        fleet_credit = np.sum([one.credited * one.hashes for one in self.shares.values()], axis=0)
        down = which > 0
        # The pool's name of a worker is its account's and the miner's; the exporter tells whose it is.
        miners = {
            labels["worker"]: self.shares[labels["miner"]]
            for labels in map(dict, known[0])
            if labels["__name__"] == c.MINING_POOL_WORKER_MINER.name
        }
        for key in sorted({key for page in known for key in page if self._takes(key)}):
            labels = dict(key)
            name = labels["__name__"]
            values = np.array([page.get(key, np.nan) for page in known])[which]
            there = ~np.isnan(values)
            shares = miners[labels["worker"]] if "worker" in labels else None
            if name in _WORKER_COUNTERS and shares:
                part = _WORKER_COUNTERS[name]
                found = shares.credited if part == "good" else getattr(shares, part)
                values = np.where(there, known[0][key] + np.cumsum(found) * shares.hashes, np.nan)
            elif name == c.MINING_POOL_WORKER_HASHRATE.name and shares:
                rate = _moving(shares.credited * shares.hashes, _WINDOWS[labels["window"]] // step, step)
                values = np.where(there, rate, np.nan)
            elif name == c.MINING_POOL_HASHRATE.name:
                rate = _moving(fleet_credit, _WINDOWS[labels["window"]] // step, step)
                values = np.where(there, rate, np.nan)
            elif name == c.MINING_POOL_WORKER_ONLINE.name and shares:
                values = np.where(there, _moving(shares.credited, 600 // step, step) > 0, np.nan)
            elif name == c.MINING_POOL_WORKER_LAST_SHARE.name and shares:
                values = np.where(there, self._times - self._ages(shares.credited, rng), np.nan)
            elif name in _PRICED:
                values = values * self._price
            elif name in _POOL_TIMES:
                # Served from the last good answer while the pool is down: as old as that.
                fresh = np.where(down, -np.inf, self._times - rng.uniform(0, step, count))
                values = np.where(there, np.maximum.accumulate(fresh), np.nan)
            elif name in (c.MINING_POOL_EARNED_24H.name, c.MINING_POOL_EXPECTED_24H.name):
                seconds = DAY if name == c.MINING_POOL_EARNED_24H.name else 600
                rate = _moving(fleet_credit, seconds // step, step)
                values = values * rate / max(rate.mean(), 1.0)
            elif name == c.MINING_POOL_REQUESTS.name:
                values = values + np.arange(count)
            series.append(Series(labels, values))
        pool = next(iter(known[0]))
        common = {label: value for label, value in pool if label in ("job", "instance")}
        series.append(Series({"__name__": "up", **common}, np.ones(count)))
        return self._changed(series, self._of(POOL, FLEET))

    # The exporter, and what watches it.

    def _own_series(self, known: Samples) -> list[Series]:
        series = [
            Series(dict(key), np.full(self._grid.size, value))
            for key, value in sorted(known.items())
            if self._takes(key)
        ]
        common = {"job": "minefleet-exporter", "instance": "exporter:10777"}
        series.append(Series({"__name__": "up", **common}, np.ones(self._grid.size)))
        series = self._changed(series, self._of(EXPORTER))
        # Of Prometheus and Alertmanager, in whose pages nothing ever fails here.
        made = {one.labels["__name__"] for one in series}
        for name, selectors in self._wanted.items():
            if name in made or not name.startswith(("prometheus_", "alertmanager_")):
                continue
            for selector in selectors:
                exact = {label: value for label, operator, value in selector.matchers if operator == "="}
                job = name.partition("_")[0]
                labels = {"__name__": name, "job": job, "instance": f"{job}:9090", **exact}
                series.append(Series(labels, np.zeros(self._grid.size)))
        return series

    def _changed(self, series: list[Series], faults: Sequence[Fault]) -> list[Series]:
        """The series with the figures that faults change, and without what a dead exporter cannot tell."""
        for one in series:
            for fault in faults:
                for change in fault.changes:
                    if not change.selector.takes(one.labels):
                        continue
                    span = self._span(fault)
                    if change.how == "times":
                        one.values[span] *= change.amount
                    elif change.how == "plus":
                        one.values[span] += change.amount
                    else:
                        one.values[span] = np.where(np.isnan(one.values[span]), np.nan, change.amount)
            if one.labels["__name__"] == "up":
                one.values[~self._alive] = 0.0
            else:
                one.values[~self._alive] = np.nan
        return series


def _moving(found: Values, steps: int, step: int) -> Values:
    """A rate per second over the last *steps* minutes; before the first, as if it had always been so."""
    steps = max(1, steps)
    ahead = np.concatenate([np.full(steps, found[:1440].mean()), found])
    total = np.concatenate([[0.0], np.cumsum(ahead)])
    rate: Values = (total[steps + 1 :] - total[1 : len(found) + 1]) / (steps * step)
    return rate


def _bound(function: Callable[..., list[Series]], *arguments: object) -> Callable[[], list[Series]]:
    return lambda: function(*arguments)
