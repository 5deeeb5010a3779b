"""A miner's reading to samples: which field is which series, and which figures cannot be true."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from exporter import catalogue as c
from exporter.catalogue import Metric
from exporter.exposition import Page
from exporter.plausible import Guard
from exporter.probe import TargetKind
from exporter.vnish.reading import Board, BoardDetail, Factory, MinerReading, Pool
from exporter.vnish.verdict import Glance

# What a whole miner of an algorithm can do, in hashes per second. Between the two lies every model from
# the first of its kind to several times the best of 2026, and no model of one algorithm read in the unit
# of the other: that mistake is a factor of 1000.
POSSIBLE_HASHRATE = {"scrypt": (1e8, 2e11), "sha256d": (1e12, 5e15)}
# A board or miner that does three times its nominal rate is a wrong figure, not a good day.
MOST_OF_NOMINAL = 3.0


def samples(reading: MinerReading, page: Page) -> Counter[str]:
    """Write the reading onto *page*; the names of metrics whose values were dropped are returned, counted."""
    guard = Guard(page)
    _identity(reading, page)
    for endpoint, up in reading.endpoints.items():
        page.add(c.ENDPOINT_UP, float(up), endpoint)
    page.add_states(c.STATE, reading.state)
    if reading.failure:
        page.add(c.FAILURE_INFO, 1.0, reading.failure)
    page.add_states(c.WARRANTY, reading.warranty)
    page.add_states(c.COOLING_MODE, reading.cooling_mode)
    for metric, value in (
        (c.STATE_DURATION, reading.state_seconds),
        (c.FAILURE_CODE, reading.failure_code),
        (c.UPTIME, reading.uptime),
        (c.THROTTLE, reading.throttle),
        (c.RESTARTS, reading.restarts),
        (c.RESTART_REQUIRED, reading.restart_required),
        (c.REBOOT_REQUIRED, reading.reboot_required),
        (c.LOCATING, reading.locating),
        (c.DEVFEE_RATIO, reading.devfee_ratio),
        (c.HARDWARE_ERRORS, reading.hardware_errors),
        (c.HARDWARE_ERROR_RATIO, reading.hardware_error_ratio),
        (c.FOUND_BLOCKS, reading.found_blocks),
        (c.BEST_SHARE, reading.best_share),
        (c.POWER_METERED, reading.power_metered),
        (c.CHIP_TEMPERATURE_MIN, reading.chip_temperature.low),
        (c.CHIP_TEMPERATURE_MAX, reading.chip_temperature.high),
        (c.PCB_TEMPERATURE_MIN, reading.pcb_temperature.low),
        (c.PCB_TEMPERATURE_MAX, reading.pcb_temperature.high),
        (c.FANS, reading.fan_count),
        (c.FANS_REQUIRED, reading.fans_required),
        (c.FAN_DUTY, reading.fan_duty),
        (c.COOLING_TARGET, reading.cooling_target),
        (c.MEMORY_TOTAL, reading.memory_total),
        (c.MEMORY_FREE, reading.memory_free),
        (c.BOARDS_EXPECTED, reading.boards_expected),
        (c.AUTHENTICATED, reading.authenticated),
        (c.UNLOCK_WAIT, reading.unlock_wait),
    ):
        guard.add(metric, value)
    if reading.power == 0 and reading.hashrate:
        # Some firmware cannot tell the power of some models, and says 0.
        guard.drop(c.POWER)
    else:
        guard.add(c.POWER, reading.power)
    for position, celsius in reading.water.items():
        guard.add(c.WATER_TEMPERATURE, celsius, position)
    for sensor, celsius in reading.psu_temperatures.items():
        guard.add(c.PSU_TEMPERATURE, celsius, sensor)
    for fan in reading.fans:
        guard.add(c.FAN_SPEED, fan.speed, fan.number)
        # An immersed or failed miner reports 0, which is no top speed.
        guard.add(c.FAN_SPEED_MAX, fan.speed_max or None, fan.number)
        guard.add(c.FAN_OK, fan.ok, fan.number)
    _preset(reading, page, guard)
    rates = _Hashrates(reading, guard)
    rates.whole_miner(reading)
    if reading.boards is not None:
        page.add(c.BOARDS, len(reading.boards))
        for board in reading.boards:
            _board(board, page, guard, rates, reading.chips_expected)
    for pool in reading.pools:
        _pool(pool, page, guard)
    if reading.factory is not None:
        _factory(reading.factory, page)
    if reading.details:
        guard.add(c.CHIPS_AGE, reading.details_age)
        _chips(reading.details, page, guard, rates)
    return guard.dropped


def _identity(reading: MinerReading, page: Page) -> None:
    who = reading.identity
    page.add(c.MINER_INFO, 1.0, *(getattr(who, label) or "" for label in c.MINER_INFO.labels))


def _preset(reading: MinerReading, page: Page, guard: Guard) -> None:
    preset = reading.preset
    if preset is None:
        return
    if preset.name:
        page.add(c.PRESET_INFO, 1.0, preset.name, preset.status or "")
    guard.add(c.PRESET_POWER, preset.power)
    guard.add(c.PRESET_SWITCHER, preset.switcher)
    guard.add(c.PRESET_DECREASE, preset.decrease)
    guard.add(c.PRESET_RISE, preset.rise)
    if preset.top or preset.bottom:
        page.add(c.PRESET_SWITCHER_INFO, 1.0, preset.top or "", preset.bottom or "")
    guard.add(c.PRESET_TOP_POWER, preset.top_power)
    guard.add(c.PRESET_MIN_POWER, preset.bottom_power)
    guard.add(c.GLOBAL_FREQUENCY, preset.frequency)
    guard.add(c.GLOBAL_VOLTAGE, preset.voltage)


class _Hashrates:
    """Holds hashrates against the algorithm and the nominal rate, so that a wrong unit never gets out."""

    def __init__(self, reading: MinerReading, guard: Guard) -> None:
        self._guard = guard
        low, high = 0.0, c.HASHRATE.high
        if not reading.hashrate_in_words:
            low, high = POSSIBLE_HASHRATE.get(reading.identity.algorithm or "", (low, high))
        self._low = low
        rated = [rate for rate in (reading.hashrate_nominal, reading.hashrate_stock) if rate]
        # A rating that no model of the algorithm has means that the unit is wrong, and every rate with it.
        self._trusted = all(low <= rate <= high for rate in rated)
        self._most = min(high, MOST_OF_NOMINAL * max(rated)) if rated and self._trusted else high

    def add(self, metric: Metric, value: float | None, *labels: str) -> None:
        if value is None:
            return
        if not self._trusted or value > self._most:
            self._guard.drop(metric)
        else:
            self._guard.add(metric, value, *labels)

    @property
    def most(self) -> float:
        """The most a part can truly do; negative if no rate of this miner can be believed."""
        return self._most if self._trusted else -1.0

    def whole_miner(self, reading: MinerReading) -> None:
        for metric, value in (
            (c.HASHRATE, reading.hashrate),
            (c.HASHRATE_AVERAGE, reading.hashrate_average),
            (c.HASHRATE_NOMINAL, reading.hashrate_nominal or None),
            (c.HASHRATE_STOCK, reading.hashrate_stock or None),
            (c.DEVFEE_HASHRATE, reading.devfee_hashrate),
        ):
            self.add(metric, value)
        factory = reading.factory.hashrate if reading.factory else None
        if factory and factory < self._low:
            self._guard.drop(c.HASHRATE_FACTORY)
        else:
            self.add(c.HASHRATE_FACTORY, factory or None)


def _board(board: Board, page: Page, guard: Guard, rates: _Hashrates, chips_expected: float | None) -> None:
    number = board.number
    page.add_states(c.BOARD_STATE, board.state, number)
    if board.failure:
        page.add(c.BOARD_FAILURE_INFO, 1.0, number, board.failure)
    rates.add(c.BOARD_HASHRATE, board.hashrate, number)
    rates.add(c.BOARD_HASHRATE_NOMINAL, board.hashrate_nominal or None, number)
    for metric, value in (
        (c.BOARD_POWER, board.power),
        (c.BOARD_VOLTAGE, board.voltage),
        (c.BOARD_FREQUENCY, board.frequency),
        (c.BOARD_CHIP_TEMPERATURE_MIN, board.chip_temperature.low),
        (c.BOARD_CHIP_TEMPERATURE_MAX, board.chip_temperature.high),
        (c.BOARD_PCB_TEMPERATURE_MIN, board.pcb_temperature.low),
        (c.BOARD_PCB_TEMPERATURE_MAX, board.pcb_temperature.high),
        (c.BOARD_HARDWARE_ERRORS, board.hardware_errors),
        (c.BOARD_HARDWARE_ERROR_RATIO, board.hardware_error_ratio),
        (c.BOARD_CHIPS_EXPECTED, chips_expected if board.chips_expected is None else board.chips_expected),
    ):
        guard.add(metric, value, number)
    guard.add(c.BOARD_WATER_TEMPERATURE, board.water_inlet, number, "inlet")
    guard.add(c.BOARD_WATER_TEMPERATURE, board.water_outlet, number, "outlet")
    for grade, count in board.grades.items():
        guard.add(c.BOARD_CHIPS, count, number, grade)


def _pool(pool: Pool, page: Page, guard: Guard) -> None:
    key = (pool.number, pool.kind)
    page.add(c.POOL_INFO, 1.0, pool.number, pool.url or "", pool.user or "", pool.kind)
    page.add_states(c.POOL_STATUS, pool.status, *key)
    if pool.status is not None:
        page.add(c.POOL_ACTIVE, float(pool.status == "active"), *key)
    for metric, value in (
        (c.POOL_ACCEPTED, pool.accepted),
        (c.POOL_REJECTED, pool.rejected),
        (c.POOL_STALE, pool.stale),
        (c.POOL_ACCEPTED_DIFFICULTY, pool.accepted_difficulty),
        (c.POOL_DIFFICULTY, pool.difficulty),
        (c.POOL_LAST_SHARE_DIFFICULTY, pool.last_share_difficulty),
        (c.POOL_LAST_SHARE_AGE, pool.last_share_age),
        (c.POOL_PING, pool.ping),
    ):
        guard.add(metric, value, *key)


def _factory(factory: Factory, page: Page) -> None:
    if factory.psu_model or factory.psu_serial:
        page.add(c.PSU_INFO, 1.0, factory.psu_model or "", factory.psu_serial or "")
    for board in factory.boards:
        page.add(c.BOARD_INFO, 1.0, board.number, board.model or "", board.serial or "", board.chip_bin or "")


def _chips(details: list[BoardDetail], page: Page, guard: Guard, rates: _Hashrates) -> None:
    """Some thousand samples: whole columns where all is well, with the same bounds as all others."""
    for detail in details:
        for sensor in detail.sensors:
            guard.add(c.BOARD_SENSOR, sensor.board, detail.number, sensor.location, "board")
            guard.add(c.BOARD_SENSOR, sensor.chip, detail.number, sensor.location, "chip")
            guard.add(c.BOARD_SENSOR_OK, sensor.ok, detail.number, sensor.location)
    boards = [(detail.number, detail.chips) for detail in details if detail.chips]
    # Two boards or chips of one number would be series twice; then they are added one by one.
    unique = len({number for number, _ in boards}) == len(boards) and all(
        len(set(chips.numbers)) == len(chips.numbers) for _, chips in boards
    )
    for board, chips in boards:
        for metric, column, high in (
            (c.CHIP_HASHRATE, chips.hashrate, rates.most),
            (c.CHIP_TEMPERATURE, chips.temperature, c.CHIP_TEMPERATURE.high),
            (c.CHIP_FREQUENCY, chips.frequency, c.CHIP_FREQUENCY.high),
            (c.CHIP_VOLTAGE, chips.voltage, c.CHIP_VOLTAGE.high),
            (c.CHIP_ERRORS, chips.hardware_errors, c.CHIP_ERRORS.high),
            (c.CHIP_THROTTLED, chips.throttled, 1.0),
        ):
            if unique and _within(column, metric.low, high):
                page.add_column(metric, column, board, chips.numbers)  # type: ignore[arg-type]
                continue
            for number, value in zip(chips.numbers, column, strict=True):
                if value is None:
                    continue
                if metric.low <= value <= high:
                    page.add(metric, value, board, number)
                else:
                    guard.drop(metric)
        if unique and None not in chips.grade:
            page.add_column(c.CHIP_GRADE, [1.0] * len(chips.grade), board, chips.numbers, chips.grade)  # type: ignore[arg-type]
        else:
            for number, grade in zip(chips.numbers, chips.grade, strict=True):
                page.add(c.CHIP_GRADE, None if grade is None else 1.0, board, number, grade or "")


def _within(column: Sequence[float | None], low: float, high: float) -> bool:
    """Whether there is a value for every chip, and each within the bounds."""
    first = column[0]
    if first is not None and column.count(first) == len(column):
        return low <= first <= high
    try:
        return low <= min(column) and max(column) <= high  # type: ignore[type-var,operator]
    except TypeError:
        # A value that is absent compares with none of the others: quicker than looking for it.
        return False


# What a miner said last is never shown in place of what it says now.
KIND: TargetKind[MinerReading] = TargetKind(
    c.MINER_PROBE, lambda reading, page, _age: samples(reading, page), glance=Glance.of
)
