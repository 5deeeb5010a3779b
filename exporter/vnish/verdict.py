"""Does a miner hash, and what is wrong with it, worst first: the one place that decides.

    glance = Glance.of(reading, samples)               # once a look: small and frozen
    verdict = judge(glance, Limits.of(static), audit)  # what to say of it now

The landing page, ``probe``, ``diagnose`` and ``discover`` all ask here. The alert rules decide the same over
time, from the series; the tests hold rules and dashboards to the constants below and to these answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import NamedTuple

from exporter import catalogue as c
from exporter.exposition import Page
from exporter.vnish.audit import PoolAudit, is_owners, mined_pool, pool_host
from exporter.vnish.reading import Board, MinerReading, Pool

# States in which the firmware hashes; tuning itself, it does so too.
HASHING_STATES = ("mining", "auto-tuning")
# States that lead to hashing by themselves.
STARTING_STATES = ("initializing", "starting", "restarting")
DEAD_BOARD_STATES = ("failure", "disconnected")
# Boards that need not hash: their owner has switched them off.
IDLE_BOARD_STATES = ("disabled",)
# Cooling without fans; the firmware calls them lost.
FANLESS_COOLING = ("immersion",)


class Condition(StrEnum):
    """A miner's condition in one word, worst first."""

    DOWN = "down"
    UNKNOWN = "unknown"
    STOPPED = "stopped"
    STARTING = "starting"
    WARN = "warn"
    OK = "ok"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return _CONDITIONS.index(self)


_CONDITIONS = tuple(Condition)


class Kind(StrEnum):
    """What can be wrong with a miner, worst first."""

    SILENT = "silent"
    NOT_HASHING = "not_hashing"
    NO_HASHES = "no_hashes"
    OVERHEATING = "overheating"
    WRONG_POOL = "wrong_pool"
    BOARD_DEAD = "board_dead"
    BOARD_MISSING = "board_missing"
    HASHRATE_LOW = "hashrate_low"
    FAN_LOST = "fan_lost"
    HOT = "hot"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return _KINDS.index(self)


_KINDS = tuple(Kind)


class Fault(NamedTuple):
    """One thing that is wrong; *text* is for people, and nothing is to be read from it."""

    kind: Kind
    text: str


class DeadBoard(NamedTuple):
    """A board that should hash and does not; *state* is ``None`` where only its hashrate tells."""

    number: str
    state: str | None


class OwnerPool(NamedTuple):
    """A pool in the miner's list that is the owner's, not the firmware's."""

    number: str
    url: str | None
    user: str | None

    @classmethod
    def of(cls, pool: Pool) -> OwnerPool:
        """What is kept of *pool*."""
        return cls(pool.number, pool.url, pool.user)


@dataclass(frozen=True, slots=True)
class Glance:
    """All that is worth keeping of one look at a miner: a few figures, and its parts in trouble.

    Figures are the exported ones, so none that cannot be true: hashes per second, °C, W. Sizes are bounded by
    those of the reading.
    """

    model: str = ""
    algorithm: str = ""
    state: str | None = None
    hashrate: float | None = None
    hashrate_nominal: float | None = None
    hottest: float | None = None
    power: float | None = None
    boards: float | None = None
    boards_expected: float | None = None
    dead_boards: tuple[DeadBoard, ...] = ()
    lost_fans: tuple[str, ...] = ()
    pools: tuple[OwnerPool, ...] = ()
    # The one of these that it mines to, else the first.
    mined: OwnerPool | None = None

    @classmethod
    def of(cls, reading: MinerReading, samples: Page) -> Glance:
        """The glance at a reading and at the samples made of it."""
        rate = samples.value(c.HASHRATE)
        return cls(
            model=reading.identity.model or "",
            algorithm=reading.identity.algorithm or "",
            state=reading.state,
            hashrate=rate,
            hashrate_nominal=samples.value(c.HASHRATE_NOMINAL),
            hottest=samples.value(c.CHIP_TEMPERATURE_MAX),
            power=samples.value(c.POWER),
            boards=samples.value(c.BOARDS),
            boards_expected=samples.value(c.BOARDS_EXPECTED),
            dead_boards=_dead_boards(reading.boards or (), samples, hashing=hashing(reading.state, rate)),
            lost_fans=tuple(fan.number for fan in reading.fans if fan.ok is False)
            if reading.cooling_mode not in FANLESS_COOLING
            else (),
            pools=tuple(OwnerPool.of(pool) for pool in reading.pools if is_owners(pool)),
            mined=OwnerPool.of(mined) if (mined := mined_pool(reading)) else None,
        )

    @property
    def mined_at(self) -> str | None:
        """Where it mines for its owner, as :func:`pool_host` gives it."""
        return pool_host(self.mined.url) if self.mined else None

    @property
    def hashing(self) -> bool:
        """As of :func:`hashing`."""
        return hashing(self.state, self.hashrate)


def hashing(state: str | None, hashrate: float | None) -> bool:
    """Whether a miner hashes: its state decides, and that it tells a hashrate at all.

    The web server of one whose mining process is dead goes on to tell its state. Old firmware has none: there
    hashes are the sign.
    """
    if hashrate is None:
        return False
    return hashrate > 0 if state is None else state in HASHING_STATES


def _dead_boards(boards: Sequence[Board], samples: Page, *, hashing: bool) -> tuple[DeadBoard, ...]:
    """State and hashrate decide, since a board may die without saying so."""
    dead = []
    for board in boards:
        if board.state in DEAD_BOARD_STATES:
            dead.append(DeadBoard(board.number, board.state))
        elif (
            hashing
            and board.state not in IDLE_BOARD_STATES
            and samples.value(c.BOARD_HASHRATE, board.number) == 0
        ):
            dead.append(DeadBoard(board.number, None))
    return tuple(dead)


@dataclass(frozen=True, slots=True)
class Limits:
    """The thresholds that apply to one miner: °C, and the share of the nominal hashrate it may lack."""

    temperature_warning: float | None = None
    temperature_critical: float | None = None
    hashrate_drop: float | None = None

    @classmethod
    def of(cls, static: Page) -> Limits:
        """Those exported for the miner: the alert rules compare with the same series."""
        return cls(
            static.value(c.THRESHOLD_TEMPERATURE_WARNING),
            static.value(c.THRESHOLD_TEMPERATURE_CRITICAL),
            static.value(c.THRESHOLD_HASHRATE_DROP),
        )


@dataclass(frozen=True)
class Verdict:
    """A miner's condition, and all that is wrong, worst first."""

    condition: Condition
    faults: tuple[Fault, ...] = ()

    @property
    def hashes(self) -> bool:
        """Whether it is known to hash."""
        return self.condition in (Condition.OK, Condition.WARN)

    @property
    def why(self) -> str:
        """What is wrong, in one line; empty if nothing is."""
        return ", ".join(fault.text for fault in self.faults)

    @cached_property
    def rank(self) -> tuple[int, int]:
        """Sorts the worst miner first."""
        return self.condition.rank, min((fault.kind.rank for fault in self.faults), default=len(_KINDS))


def unreachable(why: str) -> Verdict:
    """The verdict of a miner that could not be read."""
    return Verdict(Condition.DOWN, (Fault(Kind.SILENT, why),))


def unknown(why: str) -> Verdict:
    """The verdict of a miner that nobody has heard of, or not for too long."""
    return Verdict(Condition.UNKNOWN, (Fault(Kind.SILENT, why),))


def stolen(glance: Glance, audit: PoolAudit | None) -> bool:
    """Whether the pool it mines to, else the first in its list, is known to be somebody else's."""
    return bool(audit and glance.mined and not audit.matches(glance.mined))


def judge(glance: Glance, limits: Limits, audit: PoolAudit | None = None) -> Verdict:
    """The verdict of a miner that answered; *audit* knows which pools are its owner's."""
    hashes = glance.hashing
    faults = [] if hashes else [_not_hashing(glance)]
    faults += [
        Fault(Kind.BOARD_DEAD, f"board {number} {state or 'hashes nothing'}")
        for number, state in glance.dead_boards
    ]
    faults += [Fault(Kind.FAN_LOST, f"fan {number} lost") for number in glance.lost_fans]
    if audit:
        strangers = {pool.url: None for pool in glance.pools if not audit.matches(pool)}
        faults += [Fault(Kind.WRONG_POOL, f"set to mine for somebody else at {url}") for url in strangers]
    if glance.hottest is not None:
        faults += _too_hot(glance.hottest, limits)
    if hashes:
        faults += _too_little(glance, limits)
        condition = Condition.WARN if faults else Condition.OK
    else:
        condition = Condition.STARTING if glance.state in STARTING_STATES else Condition.STOPPED
    return Verdict(condition, tuple(sorted(faults, key=lambda fault: fault.kind.rank)))


def _not_hashing(glance: Glance) -> Fault:
    state = glance.state or "state unknown"
    silent = glance.hashrate is None and glance.state not in STARTING_STATES
    return Fault(Kind.NOT_HASHING, f"{state}, and no hashrate" if silent else state)


def _too_hot(celsius: float, limits: Limits) -> list[Fault]:
    for limit, kind in (
        (limits.temperature_critical, Kind.OVERHEATING),
        (limits.temperature_warning, Kind.HOT),
    ):
        if limit is not None and celsius >= limit:
            return [Fault(kind, f"{celsius:.0f} °C" + (", critical" if kind is Kind.OVERHEATING else ""))]
    return []


def _too_little(glance: Glance, limits: Limits) -> list[Fault]:
    """What a miner that hashes lacks: boards, or hashes."""
    faults = []
    if glance.boards is not None and glance.boards_expected and glance.boards < glance.boards_expected:
        text = f"{glance.boards:.0f} of {glance.boards_expected:.0f} boards"
        faults.append(Fault(Kind.BOARD_MISSING, text))
    rate, nominal, drop = glance.hashrate, glance.hashrate_nominal, limits.hashrate_drop
    if not rate:
        faults.append(Fault(Kind.NO_HASHES, f"{glance.state or 'it answers'}, and no hashes"))
    elif nominal and drop is not None and rate < nominal * (1 - drop):
        faults.append(Fault(Kind.HASHRATE_LOW, f"{rate / nominal:.0%} of nominal hashrate"))
    return faults
