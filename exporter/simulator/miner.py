"""A miner's physics and life: power heats chips, fans cool them, hashes become shares, states follow states.

Deterministic: the same seed and the same sequence of times give the same miner. It advances in steps of one
second when it is looked at.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from exporter.simulator.faults import MINER_FAULTS, parameters
from exporter.simulator.hardware import Hardware
from exporter.vnish.verdict import HASHING_STATES, STARTING_STATES

STEP_SECONDS = 1.0
_MOST_STEPS = 900
_WARM_UP_STEPS = 300
_SHUTDOWN_SECONDS = 4.0
_STARTUP_SECONDS = 8.0
_INITIALIZING_SECONDS = 35.0
_RAMP_SECONDS = 20.0
_THERMAL_SECONDS = 45.0
_IDLE_WATTS_PER_BOARD = 16.0
_CONTROL_WATTS = 25.0
_TARGET_CELSIUS = 68.0
_WORST_CELSIUS = 125.0
DEVFEE_RATIO = 0.01842
DEVFEE_DIFFICULTY = 2048.0


@dataclass(slots=True)
class SimBoard:
    """One hashing board. *chip_quality* is each chip's share of the nominal chip rate, about 1."""

    number: int
    chip_quality: list[float]
    serial: str
    noise: float = 0.0
    celsius: float = 60.0
    hardware_errors: int = 0


@dataclass(slots=True)
class SimPool:
    """One pool in the miner's list and its share counters since mining began."""

    number: int
    kind: str
    url: str
    user: str
    difficulty: float
    accepted: int = 0
    rejected: int = 0
    stale: int = 0
    accepted_difficulty: float = 0.0
    last_share: float | None = None


@dataclass
class SimMiner:
    """One simulated miner; *now* of every method is its own clock, in seconds."""

    name: str
    hardware: Hardware
    seed: int
    worker: str
    pool_url: str = "stratum+tcp://eu.pool.example:3333"
    started: float = 0.0
    ambient: float = 27.0
    # Whether a preset rules; else its owner has set frequency and voltage by hand.
    preset: bool = True
    password: str = "admin"  # noqa: S105 - the firmware's default, as in every miner's manual
    # Told of every batch of shares: pool, accepted, rejected, stale.
    on_shares: Callable[[SimPool, int, int, int], None] | None = None
    boards: list[SimBoard] = field(init=False)
    pools: list[SimPool] = field(init=False)
    faults: dict[str, dict[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        rng = self.rng
        self.ambient += rng.uniform(-2.0, 2.0)
        self.boards = [
            SimBoard(
                number,
                [max(0.6, rng.gauss(1.0, 0.018)) for _ in range(self.hardware.chips)],
                f"{self.hardware.code.upper()}B{rng.randrange(10**9):09d}",
            )
            for number in range(1, self.hardware.boards + 1)
        ]
        self.serial = f"SN{rng.randrange(10**12):012d}"
        self.mac = "02:" + ":".join(f"{rng.randrange(256):02X}" for _ in range(5))
        self.age = rng.uniform(2.0, 40.0) * 86_400
        self.booted = self.started - self.age
        self.mining_since = self.booted + 60.0
        self.restarts = 0
        self.state = "mining"
        self.state_since = self.mining_since
        self.duty = 62.0
        self.fan_rpm = [self.duty / 100 * self.hardware.fan_rpm] * self.hardware.fans
        self.best_share = 0
        self._now = self.started
        # Hashes done since it was made, the development fee's among them.
        self.hashes_done = 0.0
        self._pools_anew()
        # As if it had been watched all the time: warm, and its counters where they would stand.
        for _ in range(_WARM_UP_STEPS):
            self._step()
        self._count_shares(min(self.age, 86_400.0))

    # Faults.

    def inject(self, fault: str, given: Mapping[str, object] | None = None) -> None:
        """Start misbehaving.

        Raises:
            UnknownFaultError: there is no such fault or parameter.
        """
        self.faults[fault] = parameters(MINER_FAULTS, fault, given)

    def repair(self, fault: str | None = None) -> None:
        """Stop misbehaving in one way, or in all."""
        for name in [fault] if fault else list(self.faults):
            if self.faults.pop(name, None) is not None and name in ("paused", "failure", "reboot_loop"):
                self._enter("initializing")

    def _fault(self, name: str, parameter: str) -> float:
        return self.faults[name][parameter] if name in self.faults else 0.0

    # Time.

    def advance(self, now: float) -> None:
        """Live until *now*; a long absence is caught up with from the last quarter of an hour on."""
        behind = now - self._now
        if behind > _MOST_STEPS * STEP_SECONDS:
            self._count_shares(behind - _MOST_STEPS * STEP_SECONDS)
            self._now = now - _MOST_STEPS * STEP_SECONDS
        while self._now + STEP_SECONDS <= now:
            self._now += STEP_SECONDS
            self._live()
            self._step()

    @property
    def uptime(self) -> float:
        """Seconds since the control board started."""
        return self._now - self.booted

    @property
    def state_seconds(self) -> float:
        """Seconds in the current state; like the firmware, counted while mining only."""
        return self._now - self.state_since if self.state == "mining" else 0.0

    def _enter(self, state: str) -> None:
        self.state = state
        self.state_since = self._now
        if state == "mining":
            self.mining_since = self._now
            self.restarts += 1
            for board in self.boards:
                board.hardware_errors = 0
            self._pools_anew()

    def _live(self) -> None:
        """The states a restart goes through, and those that faults hold it in."""
        for fault, state in (("failure", "failure"), ("paused", "stopped")):
            if fault in self.faults:
                if self.state != state:
                    self._enter(state)
                return
        since = self._now - self.state_since
        if "reboot_loop" in self.faults and self._now - self.booted > self._fault("reboot_loop", "seconds"):
            self.booted = self._now
            self._enter("starting")
        elif self.state == "shutting-down" and since >= _SHUTDOWN_SECONDS:
            self._enter("starting")
        elif self.state == "starting" and since >= _STARTUP_SECONDS:
            self._enter("initializing")
        elif self.state == "initializing" and since >= _INITIALIZING_SECONDS:
            self._enter("mining")

    def restart(self) -> None:
        """Restart mining, as the owner's button does."""
        self._enter("shutting-down")

    # Physics.

    def _step(self) -> None:
        rng = self.rng
        day = math.sin(2 * math.pi * (self._now % 86_400) / 86_400)
        ambient = self.ambient + 3.0 * day + self._fault("overheating", "celsius")
        airflow = sum(rpm / self.hardware.fan_rpm for rpm in self.fan_rpm) / max(1, len(self.fan_rpm))
        for board in self.boards:
            board.noise = 0.9 * board.noise + rng.gauss(0.0, 0.004)
            watts = self.board_watts(board)
            # Still air leaves the chips three times as hot above ambient as a full blast.
            resistance = 0.026 * (1120 / (self.hardware.watts / self.hardware.boards)) / (0.3 + 0.7 * airflow)
            settled = min(ambient + resistance * watts + 6.0 * self.celsius_offset(board), _WORST_CELSIUS)
            board.celsius += (settled - board.celsius) * STEP_SECONDS / _THERMAL_SECONDS
            if self.state == "mining":
                board.hardware_errors += poisson(rng, 0.004 * (1 + 3 * (board.celsius > 85)))
        hottest = max(board.celsius for board in self.boards)
        self.duty = min(100.0, max(20.0, self.duty + 0.12 * (hottest - _TARGET_CELSIUS)))
        for index in range(len(self.fan_rpm)):
            wanted = self.hardware.fan_rpm * self.duty / 100
            if "fan_stopped" in self.faults and index == int(self._fault("fan_stopped", "fan")):
                wanted = 0.0
            self.fan_rpm[index] += (wanted - self.fan_rpm[index]) * 0.3 + (
                rng.gauss(0, 12) if wanted else 0.0
            )
            if wanted == 0.0 and self.fan_rpm[index] < 200:
                self.fan_rpm[index] = 0.0
        self._count_shares(STEP_SECONDS)

    def celsius_offset(self, board: SimBoard) -> float:
        """A board's place in the air stream: the last one gets the warmest air."""
        return board.number / self.hardware.boards

    def board_state(self, board: SimBoard) -> str:
        """The state the firmware gives the board."""
        if self.is_lost(board):
            return "failure"
        if self.state in HASHING_STATES:
            return "mining"
        return "initializing" if self.state in STARTING_STATES else "stopped"

    def is_lost(self, board: SimBoard) -> bool:
        """Whether the board has failed."""
        return "board_lost" in self.faults and board.number == int(self._fault("board_lost", "board"))

    def is_missing(self, board: SimBoard) -> bool:
        """Whether the board is not reported at all."""
        return "board_missing" in self.faults and board.number == int(self._fault("board_missing", "board"))

    def grade(self, board: SimBoard, chip: int) -> str:
        """The firmware's grade of a chip: grey is good, orange weak, red bad; *chip* counts from 0."""
        if self.state in ("initializing", "starting") or self.is_lost(board):
            return "red"
        for fault, grade in (("chips_red", "red"), ("chips_orange", "orange")):
            if (
                fault in self.faults
                and board.number == int(self._fault(fault, "board"))
                and chip < int(self._fault(fault, "count"))
            ):
                return grade
        return "grey"

    def _health(self, board: SimBoard) -> float:
        """Share of the nominal rate this board gives now, without noise."""
        if self.state != "mining" or self.is_lost(board) or self.is_missing(board):
            return 0.0
        ramp = min(1.0, (self._now - self.mining_since) / _RAMP_SECONDS)
        weak = 0.0
        for fault, loss in (("chips_red", 0.95), ("chips_orange", 0.45)):
            if fault in self.faults and board.number == int(self._fault(fault, "board")):
                weak += loss * min(1.0, self._fault(fault, "count") / self.hardware.chips)
        drop = self._fault("hashrate_drop", "percent") / 100
        hot = 0.3 if board.celsius > 110 else 0.0
        return max(0.0, ramp * (1 - weak) * (1 - drop) * (1 - hot))

    def board_rate(self, board: SimBoard) -> float:
        """Real-time hashrate of a board, in the firmware's unit."""
        return self.board_nominal() * self._health(board) * (1.01 + board.noise)

    def board_nominal(self) -> float:
        """Nominal hashrate of one board, in the firmware's unit."""
        return self.hardware.rate / self.hardware.boards

    def rate(self) -> float:
        """Real-time hashrate of the miner, in the firmware's unit."""
        return sum(self.board_rate(board) for board in self.boards)

    def chip_rate(self, board: SimBoard, chip: int, jitter: random.Random) -> float:
        """Hashrate of one chip, in the firmware's unit; *jitter* is the noise of this moment."""
        loss = {"red": 0.05, "orange": 0.55, "grey": 1.0}[self.grade(board, chip)]
        if self.state != "mining" or self.is_lost(board):
            return 0.0
        drop = 1 - self._fault("hashrate_drop", "percent") / 100
        quality = board.chip_quality[chip] * jitter.gauss(1.0, 0.03)
        return max(0.0, self.board_nominal() / self.hardware.chips * 1.01 * quality * loss * drop)

    def jitter(self, board: SimBoard) -> random.Random:
        """The noise of a board's chips, the same for everyone who looks within five seconds."""
        return random.Random(f"{self.seed}/{board.number}/{int(self._now // 5)}")

    def board_watts(self, board: SimBoard) -> float:
        """Electrical power of a board."""
        if self.is_missing(board):
            return 0.0
        share = self._health(board) if not self.is_lost(board) else 0.0
        full = (self.hardware.watts - _CONTROL_WATTS) / self.hardware.boards
        spike = 1 + self._fault("power_spike", "percent") / 100
        # A chip that hashes badly draws nearly as much as one that hashes well.
        drawn = (0.25 + 0.75 * share) * full if share else _IDLE_WATTS_PER_BOARD
        return drawn * spike * (1 + board.noise / 4) + (2.0 if self.state == "initializing" else 0.0)

    def watts(self) -> float:
        """Electrical power of the miner."""
        return sum(map(self.board_watts, self.boards)) + _CONTROL_WATTS

    # Shares.

    def _pools_anew(self) -> None:
        hardware = self.hardware
        backup = self.pool_url.replace("//eu.", "//us.")
        self.pools = [
            SimPool(0, "UserPool", self.pool_url, self.worker, hardware.difficulty),
            SimPool(1, "UserPool", backup, self.worker, hardware.difficulty),
            SimPool(2, "DevFee", "DevFee", "DevFee", DEVFEE_DIFFICULTY),
        ]

    def user_of(self, pool: SimPool) -> str:
        """The user name a pool entry is mined under."""
        return "someone.else" if "wrong_worker" in self.faults and pool.kind == "UserPool" else pool.user

    def url_of(self, pool: SimPool) -> str:
        """The address of a pool entry."""
        hijacked = "wrong_worker" in self.faults and pool.kind == "UserPool"
        return "stratum+tcp://pool.thief.example:3333" if hijacked else pool.url

    def _count_shares(self, seconds: float) -> None:
        """Shares arrive as a Poisson process at each pool's difficulty."""
        hashes = self.rate() * self.hardware.unit * seconds
        # Without its cable it finds nothing for anybody.
        if hashes <= 0 or "unplugged" in self.faults:
            return
        self.hashes_done += hashes
        rejected = 0.002 + self._fault("shares_rejected", "percent") / 100
        for pool, part in ((self.pools[0], 1 - DEVFEE_RATIO), (self.pools[2], DEVFEE_RATIO)):
            found = poisson(self.rng, hashes * part / (pool.difficulty * self.hardware.share_factor))
            if not found:
                continue
            bad = poisson(self.rng, found * (rejected if pool.kind == "UserPool" else 0.0))
            late = poisson(self.rng, found * 0.001)
            good = max(0, found - bad - late)
            pool.accepted += good
            pool.rejected += bad
            pool.stale += late
            pool.accepted_difficulty += good * pool.difficulty
            pool.last_share = self._now
            if self.on_shares:
                self.on_shares(pool, good, bad, late)
            self.best_share = max(self.best_share, int(pool.difficulty * found / self.rng.uniform(0.01, 1.0)))

    def owner_rate(self) -> float:
        """Hashes per second done for the owner, now."""
        return self.rate() * self.hardware.unit * (1 - DEVFEE_RATIO)

    def last_share_age(self, pool: SimPool) -> float | None:
        """Seconds since the pool's last share."""
        return None if pool.last_share is None else max(0.0, self._now - pool.last_share)

    @property
    def now(self) -> float:
        """The time it has lived to."""
        return self._now


def poisson(rng: random.Random, mean: float) -> int:
    """A Poisson variate; the normal approximation where it is good."""
    if mean <= 0:
        return 0
    if mean > 50:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count
