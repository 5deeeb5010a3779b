"""What one look at a miner found: typed, in base units, ``None`` where the miner did not say.

Hashrates are hashes per second, temperatures degrees Celsius, power watts, voltages volts, frequencies
hertz, times seconds, memory bytes, and shares of a whole are ratios from 0 to 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(slots=True)
class Identity:
    """What the miner says it is; changes only with its firmware or its owner's settings."""

    api: str
    model: str | None = None
    algorithm: str | None = None
    firmware: str | None = None
    firmware_version: str | None = None
    platform: str | None = None
    install_type: str | None = None
    serial: str | None = None
    mac: str | None = None
    hostname: str | None = None


class Range(NamedTuple):
    """Lowest and highest of several sensors, in degrees Celsius."""

    low: float | None = None
    high: float | None = None


NO_RANGE = Range()


@dataclass(slots=True)
class Chips:
    """The chips of a board, a list for each figure: there are some three hundred on a miner.

    *numbers* are their positions; every list is as long as it.
    """

    numbers: tuple[str, ...]
    hashrate: Sequence[float | None]
    temperature: Sequence[float | None]
    frequency: Sequence[float | None]
    voltage: Sequence[float | None]
    hardware_errors: Sequence[float | None]
    throttled: Sequence[float | None]
    grade: tuple[str | None, ...]


class Sensor(NamedTuple):
    """A temperature sensor: at which chip it sits, and what it says of board and chip while it measures.

    *ok* is ``False`` if it is in error, ``None`` if the firmware does not know.
    """

    location: str
    board: float | None
    chip: float | None
    ok: bool | None


@dataclass(slots=True)
class BoardDetail:
    """What the firmware tells of a board in its own list, beside the summary.

    *number* is empty for chips of which it is not told whose they are. *board* is what this list and the
    summary both tell; the summary is believed first.
    """

    number: str
    chips: Chips | None = None
    sensors: list[Sensor] = field(default_factory=list)
    board: Board | None = None
    chips_expected: float | None = None


@dataclass(slots=True)
class Factory:
    """Identities written at the factory."""

    psu_model: str | None = None
    psu_serial: str | None = None
    hashrate: float | None = None
    boards: list[FactoryBoard] = field(default_factory=list)


@dataclass(slots=True)
class FactoryBoard:
    """One board's factory identity."""

    number: str
    model: str | None = None
    serial: str | None = None
    chip_bin: str | None = None


@dataclass(slots=True)
class Board:
    """One hashing board; *number* is the firmware's own, from 1. *failure* is why it failed, in its words."""

    number: str
    state: str | None = None
    failure: str | None = None
    hashrate: float | None = None
    hashrate_nominal: float | None = None
    power: float | None = None
    voltage: float | None = None
    frequency: float | None = None
    chip_temperature: Range = NO_RANGE
    pcb_temperature: Range = NO_RANGE
    water_inlet: float | None = None
    water_outlet: float | None = None
    hardware_errors: float | None = None
    hardware_error_ratio: float | None = None
    chips_expected: float | None = None
    grades: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Fan:
    """One fan."""

    number: str
    speed: float | None = None
    speed_max: float | None = None
    ok: bool | None = None


@dataclass(slots=True)
class Pool:
    """A pool in the miner's list, as the miner sees it."""

    number: str
    kind: str
    url: str | None = None
    user: str | None = None
    status: str | None = None
    accepted: float | None = None
    rejected: float | None = None
    stale: float | None = None
    accepted_difficulty: float | None = None
    difficulty: float | None = None
    last_share_difficulty: float | None = None
    last_share_age: float | None = None
    ping: float | None = None


@dataclass(slots=True)
class Preset:
    """The tuning preset in use, and the switcher that changes it between *top* and *bottom*.

    *frequency* and *voltage* are what the owner has set for all boards, while no preset rules.
    """

    name: str | None = None
    status: str | None = None
    power: float | None = None
    switcher: bool | None = None
    decrease: float | None = None
    rise: float | None = None
    top: str | None = None
    top_power: float | None = None
    bottom: str | None = None
    bottom_power: float | None = None
    frequency: float | None = None
    voltage: float | None = None


@dataclass(slots=True)
class MinerReading:
    """One reading of one miner."""

    identity: Identity
    endpoints: dict[str, bool] = field(default_factory=dict)
    unexpected: Counter[str] = field(default_factory=Counter)

    state: str | None = None
    state_seconds: float | None = None
    failure_code: float | None = None
    failure: str | None = None
    uptime: float | None = None
    throttle: float | None = None
    restarts: float | None = None
    restart_required: bool | None = None
    reboot_required: bool | None = None
    locating: bool | None = None
    warranty: str | None = None

    # The device prints every hashrate with its unit: none can be read in the unit of another algorithm.
    hashrate_in_words: bool = False
    hashrate: float | None = None
    hashrate_average: float | None = None
    hashrate_nominal: float | None = None
    hashrate_stock: float | None = None
    devfee_hashrate: float | None = None
    devfee_ratio: float | None = None
    hardware_errors: float | None = None
    hardware_error_ratio: float | None = None
    found_blocks: float | None = None
    best_share: float | None = None

    power: float | None = None
    power_metered: bool | None = None
    preset: Preset | None = None

    chip_temperature: Range = NO_RANGE
    pcb_temperature: Range = NO_RANGE
    water: dict[str, float] = field(default_factory=dict)
    psu_temperatures: dict[str, float] = field(default_factory=dict)

    fan_count: float | None = None
    fans_required: float | None = None
    fans: list[Fan] = field(default_factory=list)
    fan_duty: float | None = None
    cooling_mode: str | None = None
    cooling_target: float | None = None
    memory_total: float | None = None
    memory_free: float | None = None

    boards: list[Board] | None = None
    boards_expected: float | None = None
    chips_expected: float | None = None
    pools: list[Pool] = field(default_factory=list)
    details: list[BoardDetail] = field(default_factory=list)
    details_age: float | None = None
    factory: Factory | None = None
    authenticated: bool | None = None
    unlock_wait: float | None = None
