"""The firmware's real interface, ``/api/v1``, of versions 1.2 and 1.3.

Source of every field: the OpenAPI document the firmware serves at ``/docs/api-doc.json``. Hashrates are in
the unit that ``hr_measure`` of ``/info`` names, powers in W, chain voltages in mV, frequencies in MHz,
temperatures in °C, shares in percent, ``ping`` in ms, memory in KiB.

The control board is weak, and only ``/summary`` and the chips are news each time. The rest is kept: who the
miner is for some minutes, its settings and ``/status`` for one; all is read again when the miner has
restarted, and ``/status`` when the state in the summary is another.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from functools import partial
from typing import Any, TypeVar, cast

from exporter import catalogue, units
from exporter.errors import ProbeError, Reason
from exporter.fields import Fields, decode
from exporter.http import ANSWER_BYTES, Client
from exporter.vnish.access import Access, no_such_path
from exporter.vnish.details import MAX_BYTES, MAX_SENSORS, details, part_number
from exporter.vnish.details import decode as decode_details
from exporter.vnish.reading import (
    Board,
    BoardDetail,
    Factory,
    FactoryBoard,
    Fan,
    Identity,
    MinerReading,
    Pool,
    Preset,
    Range,
)
from exporter.vnish.uptime import Uptime

BASE = "/api/v1"
KEPT_SECONDS = 300.0
# The preset, and what a person does at the miner: finding it, asking for a restart.
SETTINGS_KEPT_SECONDS = 60.0
T = TypeVar("T")
_POOL_TYPES = ("UserPool", "DevFee", "Refund", "HotelFee")
_ALGORITHMS = ("scrypt", "sha256d")
# What the firmware calls it where the owner tunes by hand.
NO_PRESET = "disabled"


@dataclass(slots=True)
class _Kept:
    """What was read of an answer that stays true for a while, never the answer itself.

    *up* is ``None`` if this version has no such endpoint.
    """

    value: Any
    until: float
    up: bool | None = True


@dataclass(slots=True)
class _Info:
    """What ``/info`` tells; the uptime was so when it was read."""

    identity: Identity
    measure: str | None
    uptime: float | None
    memory_total: float | None
    memory_free: float | None


@dataclass(slots=True)
class _Status:
    """What ``/status`` tells; the summary has the first few of these too."""

    state: str | None = None
    state_seconds: float | None = None
    failure_code: float | None = None
    failure: str | None = None
    throttle: float | None = None
    restart_required: bool | None = None
    reboot_required: bool | None = None
    locating: bool | None = None
    warranty: str | None = None


@dataclass(slots=True)
class _Model:
    """What ``/model`` tells of a miner that is whole."""

    boards: float | None
    chips: float | None
    fans_required: float | None


@dataclass(slots=True)
class ApiV1:
    """Reads one miner through ``/api/v1`` and remembers what changes rarely."""

    clock: Callable[[], float]
    access: Access
    boards: bool = True
    pools: bool = True
    chips: bool = True
    chips_interval: float = 0.0
    _kept: dict[str, _Kept] = field(default_factory=dict)
    _state: str | None = None
    _state_seconds: float | None = None
    _info_read_at: float = 0.0
    _uptime: Uptime = field(default_factory=Uptime)
    # Where the chips are: "chains", "boards" or "chips"; empty if nowhere.
    _details_path: str | None = None
    _details: list[BoardDetail] = field(default_factory=list)
    _details_read_at: float = -math.inf

    async def read(self, client: Client) -> MinerReading:
        """One reading: ``/info`` and ``/summary`` must answer, the rest is welcome.

        Raises:
            ProbeError: either did not answer, or not with an object of this interface.
        """
        odd: Counter[str] = Counter()
        info = await self._info(client, odd)
        reading = MinerReading(info.identity, unexpected=odd)
        reading.endpoints["info"] = True

        data = await self.access.get_json(client, f"{BASE}/summary")
        if not isinstance(data, dict):
            raise ProbeError(Reason.BAD_SHAPE, "/api/v1/summary is not an object")
        reading.endpoints["summary"] = True
        summary = Fields(data, "summary", odd).object("miner")

        _tell(reading, _state(summary.object("miner_status")))
        if reading.state is not None and self._has_restarted(reading):
            # Its firmware and settings may be others now.
            self.forget()
            info = await self._info(client, odd)
            reading.identity = info.identity
        if reading.state is None or reading.state != self._state:
            # Without a mining process only the web server knows the state.
            self._kept.pop("status", None)
        status = await self._kept_optional(client, reading, "status", SETTINGS_KEPT_SECONDS, _status)
        if status is not None:
            _tell(reading, status)
        self._state = reading.state

        scale = units.hashes_per_measure(info.measure, reading.identity.model, reading.identity.algorithm)
        reading.memory_total, reading.memory_free = info.memory_total, info.memory_free
        if info.uptime is not None:
            # The minutes since /info was read have passed on the miner too.
            reading.uptime = self._uptime.seconds(info.uptime, self._info_read_at, self.clock())
        _summary(reading, summary, scale, boards=self.boards, pools=self.pools)

        model = await self._kept_optional(client, reading, "model", KEPT_SECONDS, _model)
        if model is not None:
            reading.boards_expected, reading.chips_expected = model.boards, model.chips
            reading.fans_required = model.fans_required
        reading.preset = await self._kept_optional(
            client, reading, "perf-summary", SETTINGS_KEPT_SECONDS, _preset
        )
        if self.boards:
            reading.factory = await self._kept_optional(
                client, reading, "chains/factory-info", KEPT_SECONDS, partial(_factory, scale)
            )
        # A summary without a list of boards leaves them to the one with their chips.
        unlisted = self.boards and bool(summary) and reading.boards is None
        if self.chips or unlisted:
            await self._read_details(client, reading, scale, now=unlisted)
            _complete(reading, unlisted=unlisted)
            if not self.chips:
                reading.details, reading.details_age = [], None
        if reading.hashrate is None and reading.boards:
            known = [board.hashrate for board in reading.boards if board.hashrate is not None]
            reading.hashrate = sum(known) if known else None
        reading.authenticated = self.access.authenticated
        reading.unlock_wait = self.access.wait
        return reading

    async def _read_details(self, client: Client, reading: MinerReading, scale: float, *, now: bool) -> None:
        """Chips and sensors, each time (as with *now*) or on their own slower rhythm."""
        if now or self.clock() - self._details_read_at >= self.chips_interval:
            self._details = []
            for path in self._details_paths(reading.identity.firmware_version):
                data = await self._optional(client, reading, path, decode_details, MAX_BYTES)
                if reading.endpoints.get(path) is False:
                    return
                if data is None:
                    continue
                self._details_path = path
                self._details = details(data, path, scale, reading.unexpected)
                break
            else:
                # This version has none of them; what is kept for minutes is what changes when that does. If
                # only the one known so far is gone, the others are tried next time.
                self._details_path = None if self._details_path else ""
                return
            self._details_read_at = self.clock()
        reading.details = self._details
        reading.details_age = self.clock() - self._details_read_at
        if not self.chips_interval:
            # They are read each time: nobody will ask for these again.
            self._details = []

    def _details_paths(self, version: str | None) -> tuple[str, ...]:
        if self._details_path is not None:
            return (self._details_path,) if self._details_path else ()
        # 1.3 renamed the list; builds before 1.2.5 have the deprecated one alone.
        return ("boards", "chains") if (version or "").startswith("1.3") else ("chains", "boards", "chips")

    async def _info(self, client: Client, odd: Counter[str]) -> _Info:
        kept = self._kept.get("info")
        if kept and kept.until > self.clock():
            return kept.value  # type: ignore[no-any-return]
        data = await self.access.get_json(client, f"{BASE}/info")
        # "miner" or "model" and a firmware: what every version of this interface has, whatever its brand.
        if not isinstance(data, dict) or not ({"miner", "model"} & data.keys() and "fw_version" in data):
            raise ProbeError(Reason.BAD_SHAPE, "/api/v1/info is not what this firmware answers")
        info = _info(Fields(data, "info", odd))
        self._kept["info"] = _Kept(info, self.clock() + KEPT_SECONDS)
        self._info_read_at = self.clock()
        return info

    def _has_restarted(self, reading: MinerReading) -> bool:
        before, self._state_seconds = self._state_seconds, reading.state_seconds
        return before is not None and reading.state_seconds is not None and reading.state_seconds < before

    def forget(self) -> None:
        """Read everything anew next time; for a miner that was away."""
        self._kept.clear()
        self._details_path = None
        self._details_read_at = -math.inf
        self.access.forget()

    async def _kept_optional(
        self, client: Client, reading: MinerReading, name: str, seconds: float, read: Callable[[Fields], T]
    ) -> T | None:
        kept = self._kept.get(name)
        if kept is None or kept.until <= self.clock():
            data = await self._optional(client, reading, name)
            value = read(Fields(data, name, reading.unexpected)) if isinstance(data, dict) else None
            up = reading.endpoints.get(name)
            # What this version does not have is not asked for again until something changes.
            # A failure is not repeated at once either: the board may be busy.
            until = KEPT_SECONDS if up is None else seconds if up else SETTINGS_KEPT_SECONDS
            self._kept[name] = kept = _Kept(value, self.clock() + until, up)
        elif kept.up is not None:
            reading.endpoints[name] = kept.up
        return cast("T | None", kept.value)

    async def _optional(
        self,
        client: Client,
        reading: MinerReading,
        name: str,
        decoder: Callable[[bytes], Any] = decode,
        max_bytes: int = ANSWER_BYTES,
    ) -> Any:
        """An answer the reading can do without.

        An unknown path is answered by the firmware's web page, or by status 404 in some builds, so either
        means that this version has no such endpoint: no answer, and no failure.
        """
        try:
            data = await self.access.get_json(client, f"{BASE}/{name}", decoder, max_bytes)
        except ProbeError as error:
            if not no_such_path(client, error):
                reading.endpoints[name] = False
            return None
        reading.endpoints[name] = True
        return data


def identity(info: Fields) -> Identity:
    """Who the miner is, from ``/info``."""
    model = info.text("miner") or info.text("model")
    algorithm = info.text("algorithm")
    network = info.object("system").object("network_status")
    serial = info.text("serial")
    return Identity(
        api="v1",
        model=model,
        algorithm=algorithm if algorithm in _ALGORITHMS else _algorithm(info, model),
        firmware=info.text("fw_name"),
        firmware_version=info.text("fw_version"),
        platform=info.text("platform"),
        install_type=info.text("install_type"),
        serial=None if serial == "N/A" else serial,
        mac=(network.text("mac") or "").lower() or None,
        hostname=network.text("hostname"),
    )


def _algorithm(info: Fields, model: str | None) -> str:
    measure = info.text("hr_measure")
    if measure == "MH/s":
        return "scrypt"
    return "sha256d" if measure == "GH/s" else units.algorithm_of(model)


def _tell(reading: MinerReading, status: _Status) -> None:
    """What ``/status`` and the summary both tell; the first to tell is believed."""
    # How long it has been so is told together with the state.
    known = {"state", "state_seconds"} if reading.state is not None else set()
    for name in _TOLD:
        if name not in known and getattr(reading, name) is None:
            setattr(reading, name, getattr(status, name))


_TOLD = tuple(one.name for one in dataclass_fields(_Status))


def _state(status: Fields) -> _Status:
    return _Status(
        state=status.choice("miner_state", catalogue.MINER_STATES),
        state_seconds=status.number("miner_state_time"),
        failure_code=status.number("failure_code"),
        failure=status.text("description"),
        throttle=_over(status.number("throttled"), 100),
    )


def _status(status: Fields) -> _Status:
    told = _state(status)
    told.restart_required = status.flag("restart_required")
    told.reboot_required = status.flag("reboot_required")
    told.locating = status.flag("find_miner")
    told.warranty = status.choice("warranty", catalogue.WARRANTY_STATES)
    return told


def _info(info: Fields) -> _Info:
    system = info.object("system")
    printed = system.text("uptime")
    uptime = None if printed is None else units.uptime_seconds(printed)
    if printed is not None and uptime is None:
        system.odd("uptime")
    return _Info(
        identity(info),
        info.text("hr_measure"),
        uptime,
        _times(system.number("mem_total"), 1024),
        _times(system.number("mem_free"), 1024),
    )


def _model(model: Fields) -> _Model:
    chain = model.object("chain")
    return _Model(
        boards=chain.number("num_chains"),
        chips=chain.number("chips_per_chain"),
        fans_required=model.object("cooling").object("fan_min_count").number("default"),
    )


def _summary(reading: MinerReading, miner: Fields, scale: float, *, boards: bool, pools: bool) -> None:
    if not miner:
        # The web server answers, the mining process does not: nothing is known of it, not even zeros.
        return
    reading.restarts = miner.number("restart_count")
    # Both whole-miner figures that are not in hr_measure are a thousand times it.
    reading.hashrate = _first(
        _times(miner.number("hr_realtime"), scale), _times(miner.number("instant_hashrate"), scale * 1000)
    )
    reading.hashrate_average = _first(
        _times(miner.number("hr_average"), scale), _times(miner.number("average_hashrate"), scale * 1000)
    )
    reading.hashrate_nominal = _times(miner.number("hr_nominal"), scale)
    reading.hashrate_stock = _times(miner.number("hr_stock"), scale)
    reading.devfee_hashrate = _times(miner.number("devfee"), scale)
    reading.devfee_ratio = _over(miner.number("devfee_percent"), 100)
    reading.hardware_errors = miner.number("hw_errors")
    reading.hardware_error_ratio = _over(
        _first(miner.number("hr_error"), miner.number("hw_errors_percent")), 100
    )
    reading.found_blocks = miner.number("found_blocks")
    reading.best_share = miner.number("best_share")
    reading.power = _first(miner.number("power_consumption"), miner.number("power_usage"))
    reading.chip_temperature = _range(miner.object("chip_temp"))
    reading.pcb_temperature = _range(miner.object("pcb_temp"))

    psu = miner.object("psu")
    reading.power_metered = psu.flag("psu_power_metering")
    sensors = psu.object("temps")
    for sensor in ("llc1", "llc2", "pfc"):
        celsius = sensors.number(f"{sensor}_temp")
        if celsius is not None:
            reading.psu_temperatures[sensor] = celsius

    cooling = miner.object("cooling")
    reading.fan_count = cooling.number("fan_num")
    reading.fan_duty = _over(cooling.number("fan_duty"), 100)
    mode = cooling.object("settings").object("mode")
    reading.cooling_mode = mode.choice("name", catalogue.COOLING_MODES)
    if reading.cooling_mode == "auto":
        reading.cooling_target = mode.number("param")
    reading.fans = [_fan(fan) for fan in cooling.objects("fans")]

    if boards and "chains" in miner:
        reading.boards = [_board(chain, scale) for chain in miner.objects("chains")]
    if pools:
        reading.pools = [_pool(pool) for pool in miner.objects("pools")]


def _complete(reading: MinerReading, *, unlisted: bool) -> None:
    """Add to the boards what only the list with their chips tells; all of it if the summary has none."""
    listed = {detail.number: detail.board for detail in reading.details if detail.board}
    if unlisted and listed:
        reading.boards = list(listed.values())
    elif reading.boards:
        for board in reading.boards:
            other = listed.get(board.number)
            if other:
                # Settings, and why it failed as long as it has: true while these details are kept.
                board.hashrate_nominal = _first(board.hashrate_nominal, other.hashrate_nominal)
                board.frequency = _first(board.frequency, other.frequency)
                if board.state != "mining":
                    board.failure = board.failure or other.failure
    if reading.chips_expected is None:
        reading.chips_expected = _first(*(detail.chips_expected for detail in reading.details))


def _board(chain: Fields, scale: float) -> Board:
    grades = chain.object("chip_statuses")
    status = chain.object("status")
    return Board(
        number=part_number(chain.number("id")),
        state=status.choice("state", catalogue.BOARD_STATES),
        failure=status.text("description"),
        hashrate=_times(chain.number("hashrate_rt"), scale),
        hashrate_nominal=_times(chain.number("hashrate_ideal"), scale),
        power=_first(chain.number("power_consumption"), chain.number("power_usage")),
        voltage=_over(chain.number("voltage"), 1000),
        frequency=_times(chain.number("frequency"), 1e6),
        chip_temperature=_range_or_sensors(chain, "chip_temp"),
        pcb_temperature=_range_or_sensors(chain, "pcb_temp"),
        water_inlet=chain.number("inlet_water_temp"),
        water_outlet=chain.number("outlet_water_temp"),
        hardware_errors=chain.number("hw_errors"),
        hardware_error_ratio=_over(chain.number("hr_error"), 100),
        grades={
            grade: count for grade in catalogue.CHIP_GRADES if (count := grades.number(grade)) is not None
        },
    )


def _fan(fan: Fields) -> Fan:
    status = fan.choice("status", ("ok", "lost"))
    return Fan(
        number=part_number(fan.number("id")),
        speed=fan.number("rpm"),
        speed_max=fan.number("max_rpm"),
        ok=None if status is None else status == "ok",
    )


def _pool(pool: Fields) -> Pool:
    printed = pool.text("diff")
    since = pool.text("ls_time")
    status = pool.choice("status", catalogue.POOL_STATES)
    counts = [pool.number(key) for key in ("accepted", "rejected", "stale")]
    ping = pool.number("ping")
    if ping == 0 and not _reached(status, any(counts)):
        # What the firmware says before it has measured; of a proxy in the same room it may be true.
        ping = None
    return Pool(
        number=part_number(pool.number("id")),
        kind=pool.choice("pool_type", _POOL_TYPES) or "unknown",
        url=pool.text("url"),
        user=pool.text("user"),
        status=status,
        accepted=counts[0],
        rejected=counts[1],
        stale=counts[2],
        accepted_difficulty=pool.number("diffa"),
        difficulty=None if printed is None else units.difficulty(printed),
        # 0 before the first share.
        last_share_difficulty=pool.number("ls_diff") or None,
        last_share_age=None if since is None else units.clock_seconds(since),
        ping=_over(ping, 1000),
    )


def _reached(status: str | None, shares: bool) -> bool:
    """Whether there is, or just was, a connection to a pool."""
    return status == "active" or (shares and status in ("working", "rejecting"))


def _preset(perf: Fields) -> Preset:
    current = perf.object("current_preset")
    switcher = perf.object("preset_switcher")
    name, top, bottom = current.text("name"), switcher.text("top_preset"), switcher.text("min_preset")
    # Where a preset rules, these are the preset's own, and the boards say what came of them.
    by_hand = current.object("globals") if name in (None, NO_PRESET) else Fields(None, "", Counter())
    return Preset(
        name=name,
        status=current.choice("status", ("tuned", "untuned")),
        power=_preset_power(name),
        switcher=switcher.flag("enabled"),
        decrease=switcher.number("decrease_temp"),
        rise=switcher.number("rise_temp"),
        top=top,
        top_power=_preset_power(top),
        bottom=bottom,
        bottom_power=_preset_power(bottom),
        frequency=_times(by_hand.number("freq") or None, 1e6),
        voltage=_over(by_hand.number("volt") or None, 100),
    )


def _preset_power(name: str | None) -> float | None:
    """The watts a preset is named after."""
    return float(name) if name and name.isascii() and name.isdigit() else None


def _range(span: Fields) -> Range:
    # 0 is what a board without a working sensor reports.
    return Range(span.number("min") or None, span.number("max") or None)


def _range_or_sensors(chain: Fields, key: str) -> Range:
    """A board's range, which builds before 1.2.5 give as single sensors too, some of them not measuring."""
    if key in chain:
        return _range(chain.object(key))
    measured = [
        celsius
        for sensor in chain.objects(f"{key}_sens", MAX_SENSORS)
        if sensor.text("status") == "measure" and (celsius := sensor.number("temp"))
    ]
    return Range(min(measured), max(measured)) if measured else Range()


def _factory(scale: float, info: Fields) -> Factory:
    return Factory(
        psu_model=info.text("psu_model"),
        psu_serial=info.text("psu_serial"),
        hashrate=_times(info.number("hr_stock"), scale),
        boards=[
            FactoryBoard(
                number=part_number(chain.number("id")),
                model=chain.text("board_model"),
                serial=chain.text("serial"),
                chip_bin=None if (chip_bin := chain.number("chip_bin")) is None else f"{chip_bin:.15g}",
            )
            for chain in info.objects("chains")
        ],
    )


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _over(value: float | None, divisor: float) -> float | None:
    return None if value is None else value / divisor


def _first(*values: float | None) -> float | None:
    return next((value for value in values if value is not None), None)
