"""Every series the product can export, as data: the only place that knows names.

A :class:`Metric` is one family. Its ``name`` is the name on the sample (with ``_total`` or ``_info``), its
unit is the suffix of that name, and its help text ends with the source field in brackets. ``low`` and
``high`` bound what the value can truly be, in the metric's unit: a value outside is dropped and counted,
never exported. Documentation, dashboards and rules are checked against :data:`CATALOGUE`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """How a family behaves over time, in the words of the text formats."""

    GAUGE = "gauge"
    COUNTER = "counter"
    INFO = "info"
    HISTOGRAM = "histogram"


UNITS = (
    "hashes_per_second",
    "coins_per_hash",
    "usd_per_joule",
    "usd_per_hash",
    "btc_per_hash",
    "celsius",
    "seconds",
    "hertz",
    "bytes",
    "watts",
    "volts",
    "ratio",
    "coins",
    "hashes",
    "usd",
    "btc",
    "rpm",
)


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One metric family; compared and hashed by identity, since each exists once."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    low: float = -math.inf
    high: float = math.inf

    @property
    def family(self) -> str:
        """The OpenMetrics family name: without ``_total`` and ``_info``."""
        if self.kind is Kind.COUNTER:
            return self.name.removesuffix("_total")
        if self.kind is Kind.INFO:
            return self.name.removesuffix("_info")
        return self.name

    @property
    def unit(self) -> str:
        """The unit, read from the name, or an empty string."""
        return next((unit for unit in UNITS if self.family.endswith(f"_{unit}")), "")


CATALOGUE: dict[str, Metric] = {}

BREAKER_STATES = ("closed", "open", "half_open")
_ANY_FAILURE = (
    "timeout",
    "connection",
    "http_status",
    "not_json",
    "bad_shape",
    "unauthorised",
    "circuit_open",
    "refused",
)
FAILURE_REASONS = (*_ANY_FAILURE, "stock_firmware")
# What a pool says in answers whose status is 200 all the same.
POOL_FAILURE_REASONS = (
    "no_data",
    "budget_spent",
    "empty",
    "html",
    "throttled",
    "pool_error",
    "unknown_account",
    "ip_not_allowed",
)
MINER_STATES = (
    "mining",
    "initializing",
    "starting",
    "auto-tuning",
    "restarting",
    "shutting-down",
    "stopped",
    "failure",
)
BOARD_STATES = ("initializing", "mining", "stopped", "failure", "disconnected", "disabled", "unknown")
CHIP_GRADES = ("grey", "orange", "red")
POOL_STATES = ("offline", "working", "disabled", "active", "rejecting", "unknown")
COOLING_MODES = ("auto", "manual", "immersion")
WARRANTY_STATES = ("active", "inactive", "expired", "cancelled", "not_provided")


def _add(kind: Kind, name: str, text: str, labels: str, **more: object) -> Metric:
    metric = Metric(name, kind, text, tuple(labels.split()), **more)  # type: ignore[arg-type]
    if name in CATALOGUE:
        raise ValueError(f"metric {name} is catalogued twice")
    CATALOGUE[name] = metric
    return metric


def _gauge(name: str, text: str, labels: str = "", low: float = -math.inf, high: float = math.inf) -> Metric:
    return _add(Kind.GAUGE, name, text, labels, low=low, high=high)


def _ratio(name: str, text: str, labels: str = "") -> Metric:
    return _gauge(name, text, labels, 0, 1)


def _flag(name: str, text: str, labels: str = "") -> Metric:
    return _gauge(name, text, labels, 0, 1)


def _temperature(name: str, text: str, labels: str = "") -> Metric:
    # 0 °C and below is a dead sensor on these boards, and silicon is gone long before 200 °C.
    return _gauge(name, text, labels, math.nextafter(0, 1), 200)


def _hashrate(name: str, text: str, labels: str = "") -> Metric:
    return _gauge(name, text, labels, 0, 1e16)


def _counter(name: str, text: str, labels: str = "") -> Metric:
    return _add(Kind.COUNTER, name, text, labels, low=0, high=2**63)


def _info(name: str, text: str, labels: str) -> Metric:
    return _add(Kind.INFO, name, text, labels)


def _states(name: str, text: str, states: tuple[str, ...], labels: str = "", label: str = "state") -> Metric:
    return _add(Kind.GAUGE, name, text, f"{labels} {label}", states=states)


# The probe of a miner.
UP = _flag(
    "vnish_up",
    "1 if the miner answered this probe usefully, else 0; it says nothing of whether it is mining (probe)",
)
SCRAPE_DURATION = _gauge(
    "vnish_scrape_duration_seconds", "Time this reading of the miner took, in seconds (probe)", low=0
)
SCRAPE_FAILURE = _states(
    "vnish_scrape_failure",
    "1 for the reason why this probe failed; all 0 when it did not (probe)",
    FAILURE_REASONS,
    label="reason",
)
BREAKER_STATE = _states(
    "vnish_breaker_state", "1 for the state of the miner's circuit breaker (probe)", BREAKER_STATES
)
ENDPOINT_UP = _flag(
    "vnish_endpoint_up",
    "1 if this part of the miner's interface was last read usefully, else 0 (probe)",
    "endpoint",
)
IMPLAUSIBLE = _counter(
    "vnish_implausible_values_total",
    "Values dropped because they cannot be true, by the metric they were meant for (probe)",
    "metric",
)
UNEXPECTED = _counter(
    "vnish_unexpected_values_total",
    "Fields of the wrong type and enumeration values no known firmware sends, by field (probe)",
    "field",
)
AUTHENTICATED = _flag(
    "vnish_authenticated",
    "1 if requests carry a token or a key, 0 if a configured password did not get one (probe)",
)
UNLOCK_WAIT = _gauge(
    "vnish_unlock_wait_seconds",
    "Time until another login may be tried, after a wrong password or too many tries (unlock.unlock_timeout)",
    low=0,
)

# The miner.
MINER_INFO = _info(
    "vnish_miner_info",
    "What the miner says it is (info, summary.miner.miner_type)",
    "model algorithm firmware firmware_version platform install_type serial mac hostname api",
)
STATE = _states("vnish_state", "1 for the state the firmware is in (status.miner_state)", MINER_STATES)
STATE_DURATION = _gauge(
    "vnish_state_duration_seconds",
    "Time in the current state, which the firmware counts while mining (status.miner_state_time)",
    low=0,
    high=1e9,
)
FAILURE_CODE = _gauge(
    "vnish_failure_code",
    "The firmware's failure number, absent without a failure; its meaning is not published (status.failure_code)",
)
FAILURE_INFO = _info(
    "vnish_failure_info",
    "Why mining failed, in the firmware's words; absent without a failure (status.description)",
    "description",
)
UPTIME = _gauge(
    "vnish_uptime_seconds",
    "Time since the control board started, in whole minutes (info.system.uptime)",
    low=0,
    high=1e9,
)
THROTTLE = _ratio(
    "vnish_throttle_ratio", "Share of full power the miner is allowed, 1 is all (status.throttled)"
)
RESTARTS = _counter(
    "vnish_restarts_total", "Restarts of mining that the firmware counts (summary.miner.restart_count)"
)
RESTART_REQUIRED = _flag(
    "vnish_restart_required",
    "1 while changed settings wait for a restart of mining (status.restart_required)",
)
REBOOT_REQUIRED = _flag(
    "vnish_reboot_required", "1 while changed settings wait for a reboot (status.reboot_required)"
)
LOCATING = _flag("vnish_locating", "1 while the miner blinks to be found (status.find_miner)")
WARRANTY = _states("vnish_warranty", "1 for the state of the warranty (status.warranty)", WARRANTY_STATES)

HASHRATE = _hashrate(
    "vnish_hashrate_hashes_per_second",
    "Real-time hashrate: zero only if the miner says zero (summary.miner.hr_realtime)",
)
HASHRATE_AVERAGE = _hashrate(
    "vnish_hashrate_average_hashes_per_second",
    "Hashrate averaged by the firmware since mining began (summary.miner.hr_average)",
)
HASHRATE_NOMINAL = _hashrate(
    "vnish_hashrate_nominal_hashes_per_second",
    "Hashrate the current preset should give (summary.miner.hr_nominal)",
)
HASHRATE_STOCK = _hashrate(
    "vnish_hashrate_stock_hashes_per_second",
    "Hashrate of the model with factory settings (summary.miner.hr_stock)",
)
HASHRATE_FACTORY = _hashrate(
    "vnish_hashrate_factory_hashes_per_second",
    "Hashrate the factory rated these boards at (chains/factory-info.hr_stock)",
)
DEVFEE_HASHRATE = _hashrate(
    "vnish_devfee_hashrate_hashes_per_second",
    "Part of the hashrate that mines for the firmware's authors (summary.miner.devfee)",
)
DEVFEE_RATIO = _ratio(
    "vnish_devfee_ratio",
    "Part of the hashrate that mines for the firmware's authors, as a share (summary.miner.devfee_percent)",
)
HARDWARE_ERRORS = _counter(
    "vnish_hardware_errors_total",
    "Wrong nonces since mining began; starts again at every restart (summary.miner.hw_errors)",
)
HARDWARE_ERROR_RATIO = _ratio(
    "vnish_hardware_error_ratio", "Share of wrong nonces (summary.miner.hr_error, hw_errors_percent)"
)
FOUND_BLOCKS = _counter(
    "vnish_found_blocks_total", "Blocks this miner found itself (summary.miner.found_blocks)"
)
BEST_SHARE = _gauge(
    "vnish_best_share_difficulty", "Difficulty of the best share so far (summary.miner.best_share)", low=0
)

POWER = _gauge(
    "vnish_power_watts",
    "Electrical power; see vnish_power_metered for how it is known (summary.miner.power_consumption)",
    low=0,
    high=20_000,
)
POWER_METERED = _flag(
    "vnish_power_metered",
    "1 if the power supply measures its power, 0 if the firmware models it (summary.miner.psu.psu_power_metering)",
)
PRESET_INFO = _info(
    "vnish_preset_info",
    "The tuning preset in use (perf-summary.current_preset)",
    "preset status",
)
PRESET_POWER = _gauge(
    "vnish_preset_power_watts",
    "Power the preset in use is named after (perf-summary.current_preset.name)",
    low=0,
    high=20_000,
)
PRESET_SWITCHER = _flag(
    "vnish_preset_switcher_enabled",
    "1 if the firmware changes presets by temperature (perf-summary.preset_switcher.enabled)",
)
PRESET_DECREASE = _temperature(
    "vnish_preset_switcher_decrease_celsius",
    "Temperature above which a lower preset is taken (perf-summary.preset_switcher.decrease_temp)",
)
PRESET_RISE = _temperature(
    "vnish_preset_switcher_rise_celsius",
    "Temperature below which a higher preset is taken (perf-summary.preset_switcher.rise_temp)",
)
PRESET_SWITCHER_INFO = _info(
    "vnish_preset_switcher_info",
    "The highest and the lowest preset the firmware may take (perf-summary.preset_switcher.top_preset, min_preset)",
    "top_preset min_preset",
)
PRESET_TOP_POWER = _gauge(
    "vnish_preset_switcher_top_power_watts",
    "Power the highest preset the firmware may take is named after (perf-summary.preset_switcher.top_preset)",
    low=0,
    high=20_000,
)
PRESET_MIN_POWER = _gauge(
    "vnish_preset_switcher_min_power_watts",
    "Power the lowest preset the firmware may take is named after (perf-summary.preset_switcher.min_preset)",
    low=0,
    high=20_000,
)
GLOBAL_FREQUENCY = _gauge(
    "vnish_global_frequency_hertz",
    "Chip frequency the owner has set for all boards; absent while a preset rules"
    " (perf-summary.current_preset.globals.freq)",
    low=0,
    high=5e9,
)
GLOBAL_VOLTAGE = _gauge(
    "vnish_global_voltage_volts",
    "Supply the owner has set for all boards; absent while a preset rules"
    " (perf-summary.current_preset.globals.volt)",
    low=0,
    high=100,
)

CHIP_TEMPERATURE_MIN = _temperature(
    "vnish_chip_temperature_min_celsius", "Coolest chip of the miner (summary.miner.chip_temp.min)"
)
CHIP_TEMPERATURE_MAX = _temperature(
    "vnish_chip_temperature_max_celsius", "Hottest chip of the miner (summary.miner.chip_temp.max)"
)
PCB_TEMPERATURE_MIN = _temperature(
    "vnish_pcb_temperature_min_celsius", "Coolest board sensor (summary.miner.pcb_temp.min)"
)
PCB_TEMPERATURE_MAX = _temperature(
    "vnish_pcb_temperature_max_celsius", "Hottest board sensor (summary.miner.pcb_temp.max)"
)
WATER_TEMPERATURE = _temperature(
    "vnish_water_temperature_celsius",
    "Cooling water of the miner, where it has no boards to tell it of (summary.temperature.water_inlet, simple interface)",
    "position",
)
PSU_TEMPERATURE = _temperature(
    "vnish_psu_temperature_celsius",
    "Power supply sensor llc1, llc2 or pfc (summary.miner.psu.temps)",
    "sensor",
)

FANS = _gauge("vnish_fans", "Fans the firmware knows of (summary.miner.cooling.fan_num)", low=0, high=64)
FANS_REQUIRED = _gauge(
    "vnish_fans_required",
    "Fans that must turn for this model to mine, unless its owner has set another number"
    " (model.cooling.fan_min_count.default)",
    low=0,
    high=64,
)
FAN_SPEED = _gauge("vnish_fan_speed_rpm", "Fan speed (summary.miner.cooling.fans[].rpm)", "fan", 0, 30_000)
FAN_SPEED_MAX = _gauge(
    "vnish_fan_speed_max_rpm",
    "Speed of the fan at full duty (summary.miner.cooling.fans[].max_rpm)",
    "fan",
    0,
    30_000,
)
FAN_OK = _flag(
    "vnish_fan_ok", "1 if the fan turns, 0 if it is lost (summary.miner.cooling.fans[].status)", "fan"
)
FAN_DUTY = _ratio("vnish_fan_duty_ratio", "How hard the fans are driven (summary.miner.cooling.fan_duty)")
COOLING_MODE = _states(
    "vnish_cooling_mode",
    "1 for the way the miner cools itself (summary.miner.cooling.settings.mode.name)",
    COOLING_MODES,
    label="mode",
)
COOLING_TARGET = _temperature(
    "vnish_cooling_target_celsius",
    "Temperature the automatic cooling aims at (summary.miner.cooling.settings.mode.param)",
)
MEMORY_TOTAL = _gauge(
    "vnish_memory_total_bytes", "Memory of the control board (info.system.mem_total)", low=0, high=1e12
)
MEMORY_FREE = _gauge(
    "vnish_memory_free_bytes", "Free memory of the control board (info.system.mem_free)", low=0, high=1e12
)

# Boards.
BOARDS = _gauge("vnish_boards", "Boards the firmware reports (summary.miner.chains)", low=0, high=64)
BOARDS_EXPECTED = _gauge(
    "vnish_boards_expected", "Boards a whole miner of this model has (model.chain.num_chains)", low=0, high=64
)
BOARD_STATE = _states(
    "vnish_board_state",
    "1 for the state the board is in (summary.miner.chains[].status.state)",
    BOARD_STATES,
    "board",
)
BOARD_FAILURE_INFO = _info(
    "vnish_board_failure_info",
    "Why the board failed, in the firmware's words (summary.miner.chains[].status.description,"
    " chains[].status.failure_message)",
    "board description",
)
BOARD_HASHRATE = _hashrate(
    "vnish_board_hashrate_hashes_per_second",
    "Real-time hashrate of the board (summary.miner.chains[].hashrate_rt)",
    "board",
)
BOARD_HASHRATE_NOMINAL = _hashrate(
    "vnish_board_hashrate_nominal_hashes_per_second",
    "Hashrate the board should give (summary.miner.chains[].hashrate_ideal, chains[].hr_nominal)",
    "board",
)
BOARD_POWER = _gauge(
    "vnish_board_power_watts",
    "Power of the board (summary.miner.chains[].power_consumption)",
    "board",
    0,
    10_000,
)
BOARD_VOLTAGE = _gauge(
    "vnish_board_voltage_volts", "Supply of the board (summary.miner.chains[].voltage)", "board", 0, 100
)
BOARD_FREQUENCY = _gauge(
    "vnish_board_frequency_hertz",
    "Mean chip frequency of the board (summary.miner.chains[].frequency, chains[].freq)",
    "board",
    0,
    5e9,
)
BOARD_CHIP_TEMPERATURE_MIN = _temperature(
    "vnish_board_chip_temperature_min_celsius",
    "Coolest chip of the board (summary.miner.chains[].chip_temp.min)",
    "board",
)
BOARD_CHIP_TEMPERATURE_MAX = _temperature(
    "vnish_board_chip_temperature_max_celsius",
    "Hottest chip of the board (summary.miner.chains[].chip_temp.max)",
    "board",
)
BOARD_PCB_TEMPERATURE_MIN = _temperature(
    "vnish_board_pcb_temperature_min_celsius",
    "Coolest sensor on the board (summary.miner.chains[].pcb_temp.min)",
    "board",
)
BOARD_PCB_TEMPERATURE_MAX = _temperature(
    "vnish_board_pcb_temperature_max_celsius",
    "Hottest sensor on the board (summary.miner.chains[].pcb_temp.max)",
    "board",
)
BOARD_WATER_TEMPERATURE = _temperature(
    "vnish_board_water_temperature_celsius",
    "Cooling water at the inlet or outlet of the board (summary.miner.chains[].inlet_water_temp, outlet_water_temp)",
    "board position",
)
BOARD_HARDWARE_ERRORS = _counter(
    "vnish_board_hardware_errors_total",
    "Wrong nonces of the board since mining began (summary.miner.chains[].hw_errors)",
    "board",
)
BOARD_HARDWARE_ERROR_RATIO = _ratio(
    "vnish_board_hardware_error_ratio",
    "Share of wrong nonces of the board (summary.miner.chains[].hr_error)",
    "board",
)
BOARD_CHIPS = _gauge(
    "vnish_board_chips",
    "Chips by grade: grey is good, orange weak, red bad; all are red while initializing"
    " (summary.miner.chains[].chip_statuses)",
    "board grade",
    0,
    10_000,
)
BOARD_CHIPS_EXPECTED = _gauge(
    "vnish_board_chips_expected",
    "Chips a whole board of this model has (model.chain.chips_per_chain, chips.chips_per_chain)",
    "board",
    0,
    10_000,
)

BOARD_INFO = _info(
    "vnish_board_info",
    "What the factory wrote onto the board (chains/factory-info.chains[])",
    "board model serial chip_bin",
)
BOARD_SENSOR = _temperature(
    "vnish_board_sensor_temperature_celsius",
    "A sensor that measures; sensor is the chip it sits at, place the board or the chip"
    " (chains[].sensors[], boards[].sensors[], chips.chains[].chips[].sensor)",
    "board sensor place",
)
BOARD_SENSOR_OK = _flag(
    "vnish_board_sensor_ok",
    "1 if the sensor measures or will, 0 if it is in error (chains[].sensors[].state)",
    "board sensor",
)
PSU_INFO = _info(
    "vnish_psu_info", "The power supply (chains/factory-info.psu_model, psu_serial)", "model serial"
)

# Chips, by board and position; some 300 on a miner. Where a miner does not say whose they are, board is empty.
CHIP_HASHRATE = _hashrate(
    "vnish_chip_hashrate_hashes_per_second",
    "Real-time hashrate of the chip (chains[].chips[].hr, chips.chains[].chips[].hashrate)",
    "board chip",
)
CHIP_TEMPERATURE = _temperature(
    "vnish_chip_temperature_celsius", "Temperature of the chip (chains[].chips[].temp)", "board chip"
)
CHIP_FREQUENCY = _gauge(
    "vnish_chip_frequency_hertz", "Frequency of the chip (chains[].chips[].freq)", "board chip", 0, 5e9
)
CHIP_VOLTAGE = _gauge(
    "vnish_chip_voltage_volts", "Voltage of the chip (chains[].chips[].volt)", "board chip", 0, 20
)
CHIP_ERRORS = _counter(
    "vnish_chip_hardware_errors_total",
    "Wrong nonces of the chip since mining began (chains[].chips[].errs)",
    "board chip",
)
CHIP_GRADE = _flag(
    "vnish_chip_grade",
    "1 for the grade the chip has now: grey is good, orange weak, red bad (chains[].chips[].grade)",
    "board chip grade",
)
CHIP_THROTTLED = _flag(
    "vnish_chip_throttled",
    "1 while the firmware slows the chip down for its temperature (chains[].chips[].throttled)",
    "board chip",
)
CHIPS_AGE = _gauge(
    "vnish_chips_age_seconds",
    "How old the figures of chips and sensors are; above 0 with a chips_interval_seconds only (probe)",
    low=0,
)

# The pools a miner mines to, as the miner sees them.
POOL_INFO = _info(
    "vnish_pool_info",
    "A pool in the miner's list; type is UserPool, DevFee or Refund (summary.miner.pools[])",
    "pool url user type",
)
POOL_ACTIVE = _flag(
    "vnish_pool_active", "1 for the pool mined to now (summary.miner.pools[].status)", "pool type"
)
POOL_STATUS = _states(
    "vnish_pool_status",
    "1 for the state of the pool; working is an alive standby (summary.miner.pools[].status)",
    POOL_STATES,
    "pool type",
)
POOL_ACCEPTED = _counter(
    "vnish_pool_shares_accepted_total",
    "Shares the pool accepted since mining began (summary.miner.pools[].accepted)",
    "pool type",
)
POOL_REJECTED = _counter(
    "vnish_pool_shares_rejected_total",
    "Shares the pool rejected since mining began (summary.miner.pools[].rejected)",
    "pool type",
)
POOL_STALE = _counter(
    "vnish_pool_shares_stale_total",
    "Shares that came too late since mining began (summary.miner.pools[].stale)",
    "pool type",
)
POOL_ACCEPTED_DIFFICULTY = _counter(
    "vnish_pool_accepted_difficulty_total",
    "Sum of the difficulties of accepted shares; times 2^16 (scrypt) or 2^32 (SHA-256) it is hashes"
    " (summary.miner.pools[].diffa)",
    "pool type",
)
POOL_DIFFICULTY = _gauge(
    "vnish_pool_difficulty",
    "Share difficulty the pool asks for (summary.miner.pools[].diff)",
    "pool type",
    0,
)
POOL_LAST_SHARE_DIFFICULTY = _gauge(
    "vnish_pool_last_share_difficulty",
    "Difficulty of the last share, absent before the first (summary.miner.pools[].ls_diff)",
    "pool type",
    0,
)
POOL_LAST_SHARE_AGE = _gauge(
    "vnish_pool_last_share_age_seconds",
    "Time since the last share, absent before the first (summary.miner.pools[].ls_time)",
    "pool type",
    0,
    1e9,
)
POOL_PING = _gauge(
    "vnish_pool_ping_seconds",
    "Round trip to the pool, absent for one never connected (summary.miner.pools[].ping)",
    "pool type",
    0,
    3600,
)

# The mining pool itself, whatever its driver.
MINING_POOL_UP = _flag(
    "mining_pool_up",
    "1 if the pool answered this sync with data, else 0; figures beside a 0 are from the last good answer (probe)",
)
MINING_POOL_SCRAPE_DURATION = _gauge(
    "mining_pool_scrape_duration_seconds", "Time the last reading of the pool took (probe)", low=0
)
MINING_POOL_SCRAPE_FAILURE = _states(
    "mining_pool_scrape_failure",
    "1 for the reason why the last reading failed; all 0 when it did not (probe)",
    (*_ANY_FAILURE, *POOL_FAILURE_REASONS),
    label="reason",
)
MINING_POOL_BREAKER_STATE = _states(
    "mining_pool_breaker_state", "1 for the state of the pool's circuit breaker (probe)", BREAKER_STATES
)
MINING_POOL_INFO = _info("mining_pool_info", "The kind of pool the account is at (configuration)", "type")
MINING_POOL_CONNECTED = _flag(
    "mining_pool_connected",
    "1 if the pool's relay says it has reached the pool; advisory, since it never becomes 0 again (status.connected)",
)
MINING_POOL_UPDATING = _flag(
    "mining_pool_updating",
    "1 if the pool's relay says its figures are recent; advisory, see the data timestamp (status.updating)",
)
MINING_POOL_DATA_TIMESTAMP = _gauge(
    "mining_pool_data_timestamp_seconds",
    "Unix time of the newest figure of a kind: as the pool dates it, or, since most pools date nothing, when it was"
    " last read; kind computed is the older of the market's two figures a computed price is made of (the reading)",
    "kind",
    0,
)
MINING_POOL_LAST_SUCCESS = _gauge(
    "mining_pool_last_success_timestamp_seconds",
    "Unix time at which the exporter last got data from the pool (probe)",
    low=0,
)
MINING_POOL_USD = _gauge(
    "mining_pool_profitability_usd_per_hash",
    "What a hash earns now, in USD: times hashes per second it is USD per second. By coin where the pool tells"
    " the coins apart: their sum is all it earns; source is pool for the pool's own quote, pool_actual for what it"
    " paid over the last day, computed for what follows from the market's figures where the pool quotes no USD: a"
    " quote in coins or BTC at their price, else difficulty, subsidy and price, less the fee; on the market's own page"
    " without an account (the account's profitability, market)",
    "algorithm coin source",
    0,
)
MINING_POOL_BTC = _gauge(
    "mining_pool_profitability_btc_per_hash",
    "What a hash earns now, in BTC, as the one in USD (the account's profitability, market)",
    "algorithm coin source",
    0,
)
MINING_POOL_COINS = _gauge(
    "mining_pool_profitability_coins_per_hash",
    "What a hash earns now, in coins of its own kind (the account's profitability, market)",
    "algorithm coin source",
    0,
)
MINING_POOL_MAX_USD = _gauge(
    "mining_pool_profitability_max_usd_per_hash",
    "Trailing maximum of what a hash earned, in USD; the window is the pool's (profitability.*.max_usd)",
    "algorithm",
    0,
)
MINING_POOL_MAX_BTC = _gauge(
    "mining_pool_profitability_max_btc_per_hash",
    "Trailing maximum of what a hash earned, in BTC; the window is the pool's (profitability.*.max_btc)",
    "algorithm",
    0,
)
MINING_POOL_PERCENTILE_USD = _gauge(
    "mining_pool_profitability_percentile_usd_per_hash",
    "Percentile of what a hash earned, in USD; rank and window are the pool's (profitability.*.percentile_usd)",
    "algorithm",
    0,
)
MINING_POOL_PERCENTILE_BTC = _gauge(
    "mining_pool_profitability_percentile_btc_per_hash",
    "Percentile of what a hash earned, in BTC; rank and window are the pool's (profitability.*.percentile_btc)",
    "algorithm",
    0,
)
MINING_POOL_ALGORITHM_TIMESTAMP = _gauge(
    "mining_pool_algorithm_timestamp_seconds",
    "Unix time of an algorithm's figures, as the pool dates them (profitability.*.data_timestamp)",
    "algorithm",
    0,
)
MINING_POOL_SERVER_TIMESTAMP = _gauge(
    "mining_pool_algorithm_server_timestamp_seconds",
    "Unix time at which the pool's server sent an algorithm's figures (profitability.*.server_timestamp)",
    "algorithm",
    0,
)
MINING_POOL_LAST_UPDATE = _gauge(
    "mining_pool_last_update_timestamp_seconds",
    "Unix time at which the pool's relay says it last heard of a kind of figure; advisory, since before the first it"
    " is the relay's start (status.lastUpdates.*)",
    "kind",
    0,
)
MINING_POOL_PART_UP = _flag(
    "mining_pool_part_up",
    "1 if the last call for a part of the pool's figures succeeded, 0 if not (probe)",
    "part",
)

# The account.
MINING_POOL_HASHRATE = _gauge(
    "mining_pool_hashrate_hashes_per_second",
    "Hashrate the pool credits to the account, averaged over a window; now is the pool's own shortest (the account)",
    "window",
    0,
    1e18,
)
MINING_POOL_WORKERS = _gauge(
    "mining_pool_workers",
    "Workers of the account by state: online or offline, as the pool sees them (the account)",
    "state",
    0,
)
MINING_POOL_WORKERS_CUT = _gauge(
    "mining_pool_workers_cut", "Workers left out of this page, since it holds 2,000 at most (probe)", low=0
)
MINING_POOL_FEE = _ratio("mining_pool_fee_ratio", "Share of the earnings the pool keeps (the account)")
MINING_POOL_PAYS = _gauge(
    "mining_pool_pays_ratio",
    "What the pool pays of what a share is worth by the network's difficulty alone; above 1 where it adds fees or the"
    " coins of other chains (the account)",
    low=0,
    high=10,
)
MINING_POOL_BALANCE = _gauge(
    "mining_pool_balance_coins",
    "What the account holds, in coins: confirmed can be paid out, unconfirmed may still be lost (the account's coins)",
    "coin state",
    0,
)
MINING_POOL_EARNED_24H = _gauge(
    "mining_pool_earned_24h_coins",
    "What the account earned in the last 24 hours (the account's coins)",
    "coin",
    0,
)
MINING_POOL_EARNED_YESTERDAY = _gauge(
    "mining_pool_earned_yesterday_coins",
    "What the account earned on the pool's last whole day (the account's coins)",
    "coin",
    0,
)
MINING_POOL_EXPECTED_24H = _gauge(
    "mining_pool_expected_24h_coins",
    "What the pool expects the account to earn in 24 hours at its hashrate (the account's coins)",
    "coin",
    0,
)
MINING_POOL_PAID = _counter(
    "mining_pool_paid_coins_total", "What the pool has paid out in all (the account's coins)", "coin"
)
MINING_POOL_LAST_PAYOUT = _gauge(
    "mining_pool_last_payout_coins", "The last payout (the account's payouts)", "coin", 0
)
MINING_POOL_LAST_PAYOUT_TIME = _gauge(
    "mining_pool_last_payout_timestamp_seconds",
    "Unix time of the last payout (the account's payouts)",
    "coin",
    0,
)
MINING_POOL_BLOCKS = _counter(
    "mining_pool_found_blocks_total", "Blocks the account's shares found (the account's coins)", "coin"
)

# Its workers, under the names the pool has for them.
MINING_POOL_WORKER_MINER = _info(
    "mining_pool_worker_miner_info",
    "The miner that mines as this worker: its worker in the configuration, else its name, the account's name before a"
    " dot left out (fleet.miners[].worker, name)",
    "worker miner",
)
MINING_POOL_WORKER_HASHRATE = _gauge(
    "mining_pool_worker_hashrate_hashes_per_second",
    "Hashrate the pool credits to the worker, averaged over a window (the account's workers)",
    "worker window",
    0,
    1e18,
)
MINING_POOL_WORKER_ONLINE = _flag(
    "mining_pool_worker_online",
    "1 if the pool sees the worker, 0 if it knows it and does not see it (the account's workers)",
    "worker",
)
MINING_POOL_WORKER_LAST_SHARE = _gauge(
    "mining_pool_worker_last_share_timestamp_seconds",
    "Unix time of the worker's last share (the account's workers)",
    "worker",
    0,
)
MINING_POOL_WORKER_SHARES_ACCEPTED = _counter(
    "mining_pool_worker_shares_accepted_total",
    "Shares of the worker the pool accepted, where it counts shares (the account's workers)",
    "worker",
)
MINING_POOL_WORKER_SHARES_REJECTED = _counter(
    "mining_pool_worker_shares_rejected_total",
    "Shares of the worker the pool found invalid (the account's workers)",
    "worker",
)
MINING_POOL_WORKER_SHARES_STALE = _counter(
    "mining_pool_worker_shares_stale_total",
    "Shares of the worker that came too late (the account's workers)",
    "worker",
)
MINING_POOL_WORKER_HASHES_ACCEPTED = _counter(
    "mining_pool_worker_accepted_hashes_total",
    "Work in the worker's accepted shares, in hashes, where the pool counts work (the account's workers)",
    "worker",
)
MINING_POOL_WORKER_HASHES_REJECTED = _counter(
    "mining_pool_worker_rejected_hashes_total",
    "Work in the worker's invalid shares, in hashes (the account's workers)",
    "worker",
)
MINING_POOL_WORKER_HASHES_STALE = _counter(
    "mining_pool_worker_stale_hashes_total",
    "Work in the worker's late shares, in hashes (the account's workers)",
    "worker",
)
MINING_POOL_WORKER_RATE_ACCEPTED = _gauge(
    "mining_pool_worker_accepted_hashes_per_second",
    "Work in accepted shares as a rate, over the pool's own window, where the pool gives rates (the account's workers)",
    "worker",
    0,
    1e18,
)
MINING_POOL_WORKER_RATE_REJECTED = _gauge(
    "mining_pool_worker_rejected_hashes_per_second",
    "Work in invalid shares as a rate (the account's workers)",
    "worker",
    0,
    1e18,
)
MINING_POOL_WORKER_RATE_STALE = _gauge(
    "mining_pool_worker_stale_hashes_per_second",
    "Work in late shares as a rate (the account's workers)",
    "worker",
    0,
    1e18,
)
MINING_POOL_WORKER_REJECT = _ratio(
    "mining_pool_worker_reject_ratio",
    "Share of the worker's work that was not credited, where the pool gives a ratio (the account's workers)",
    "worker",
)

# Coins: their networks and prices. source is pool on an account's page; on the market's page it is the source
# of the figure, configured for one of the configuration file.
NETWORK_DIFFICULTY = _gauge(
    "mining_network_difficulty",
    "Difficulty of the coin's network: times 2^32 it is the hashes of a block on average; a mean over recent blocks"
    " where it changes with each (the pool, or the market's network source)",
    "coin source",
    0,
)
NETWORK_HASHRATE = _gauge(
    "mining_network_hashrate_hashes_per_second",
    "Hashrate of the coin's whole network (the pool, or the market's network source)",
    "coin source",
    0,
    1e21,
)
NETWORK_SUBSIDY = _gauge(
    "mining_network_subsidy_coins",
    "New coins of a block: as told, else by the height, else configured (the pool, or the market's network source)",
    "coin source",
    0,
)
COIN_PRICE_USD = _gauge(
    "mining_coin_price_usd",
    "Price of a coin, in USD (the pool, or the market's price source)",
    "coin source",
    math.nextafter(0, 1),
    1e7,
)
COIN_PRICE_BTC = _gauge(
    "mining_coin_price_btc",
    "Price of a coin, in BTC (the pool, or the market's price source)",
    "coin source",
    math.nextafter(0, 1),
    1e3,
)

# The market: its sources, each with a breaker and a budget of its own.
MARKET_UP = _flag(
    "mining_market_up",
    "1 if the difficulty, subsidy and price of every coin are known and young enough to price a hash, else 0 (probe)",
)
MARKET_DATA_TIMESTAMP = _gauge(
    "mining_market_data_timestamp_seconds",
    "Unix time of a coin's figures, kind network or price: as the source dates them, when the answer last changed, or"
    " prices_date (the market's sources)",
    "kind coin source",
    0,
)
MARKET_SOURCE_UP = _flag(
    "mining_market_source_up",
    "1 if the source's last answer was useful, else 0; absent while it was not needed (probe)",
    "source",
)
MARKET_SOURCE_DURATION = _gauge(
    "mining_market_source_scrape_duration_seconds",
    "Time the last reading of the source took (probe)",
    "source",
    0,
)
MARKET_SOURCE_FAILURE = _states(
    "mining_market_source_scrape_failure",
    "1 for the reason why the last reading of the source failed; all 0 when it did not (probe)",
    (*_ANY_FAILURE, *POOL_FAILURE_REASONS),
    "source",
    label="reason",
)
MARKET_SOURCE_BREAKER = _states(
    "mining_market_source_breaker_state",
    "1 for the state of the source's circuit breaker (probe)",
    BREAKER_STATES,
    "source",
)
MARKET_SOURCE_LAST_SUCCESS = _gauge(
    "mining_market_source_last_success_timestamp_seconds",
    "Unix time at which the exporter last got figures from the source (probe)",
    "source",
    0,
)
MARKET_SOURCE_REQUESTS = _counter(
    "mining_market_source_requests_total",
    "Requests sent to the source since the exporter started (probe)",
    "source",
)
MARKET_SOURCE_BUDGET_LIMIT = _gauge(
    "mining_market_source_request_budget_limit",
    "Requests that may be sent to the source in any hour (the driver)",
    "source",
    0,
)
MARKET_SOURCE_BUDGET_REMAINING = _gauge(
    "mining_market_source_request_budget_remaining",
    "Requests of this hour's budget of the source that are left (probe)",
    "source",
    0,
)
MARKET_SOURCE_IMPLAUSIBLE = _counter(
    "mining_market_source_implausible_values_total",
    "Figures of the source dropped because they cannot be true, by the metric they were meant for (probe)",
    "source metric",
)
MARKET_SOURCE_UNEXPECTED = _counter(
    "mining_market_source_unexpected_values_total",
    "Fields of the wrong type in the source's answers, by field (probe)",
    "source field",
)

MINING_POOL_REQUESTS = _counter(
    "mining_pool_requests_total", "Requests sent to the pool since the exporter started (probe)"
)
MINING_POOL_BUDGET_LIMIT = _gauge(
    "mining_pool_request_budget_limit",
    "Requests that may be sent to the pool in any hour (rate_limit_requests_per_hour)",
    low=0,
)
MINING_POOL_BUDGET_REMAINING = _gauge(
    "mining_pool_request_budget_remaining", "Requests of this hour's budget that are left (probe)", low=0
)
MINING_POOL_IMPLAUSIBLE = _counter(
    "mining_pool_implausible_values_total",
    "Figures of the pool dropped because they cannot be true, by the metric they were meant for (probe)",
    "metric",
)
MINING_POOL_UNEXPECTED = _counter(
    "mining_pool_unexpected_values_total",
    "Fields of the wrong type in the pool's answers, by field (probe)",
    "field",
)

# What rules join with, on the page of each target: the fleet's own configuration.
MINER_CONFIGURED = _flag(
    "minefleet_miner_configured",
    "1 if the miner is in the configuration, 0 if it is probed only because it was asked for (fleet.miners)",
)
FLEET_MINER_INFO = _info(
    "minefleet_miner_info", "What the configuration says of the miner (fleet.miners[].worker)", "worker"
)
MINER_ACCOUNT = _info(
    "minefleet_miner_account_info",
    "The pool account that pays for the miner: the configured one, else the one it mines to"
    " (fleet.miners[].pool, fleet.pool, the account's stratum_hosts)",
    "account",
)
POOL_ACCOUNT = _info(
    "minefleet_pool_account_info",
    "The configured account among whose hosts a pool in the miner's list is (the account's stratum_hosts)",
    "pool account",
)
POOL_MATCH = _flag(
    "minefleet_pool_match",
    "1 if a pool in the miner's list is where the configuration wants it to mine, and under the right worker as far"
    " as the miner shows it; 0 if not, as on a hijacked or swapped miner (fleet.expected_pools, fleet.miners[].worker)",
    "pool",
)
MINER_POWER_CONFIGURED = _gauge(
    "minefleet_miner_power_configured_watts",
    "Power to reckon with where the firmware cannot tell (fleet.miners[].power_watts)",
    low=0,
    high=20_000,
)
THRESHOLD_TEMPERATURE_WARNING = _gauge(
    "minefleet_threshold_temperature_warning_celsius",
    "Chip temperature that warrants a warning (alerts.thresholds.temperature_warning)",
)
THRESHOLD_TEMPERATURE_CRITICAL = _gauge(
    "minefleet_threshold_temperature_critical_celsius",
    "Chip temperature that is dangerous (alerts.thresholds.temperature_critical)",
)
THRESHOLD_PCB_TEMPERATURE = _gauge(
    "minefleet_threshold_pcb_temperature_celsius",
    "Temperature of the hottest board sensor that warrants a warning (alerts.thresholds.pcb_temperature)",
)
THRESHOLD_INLET_TEMPERATURE = _gauge(
    "minefleet_threshold_inlet_temperature_celsius",
    "Temperature of the coolest board sensor, which the intake's air meets first, that warrants a warning"
    " (alerts.thresholds.inlet_temperature)",
)
THRESHOLD_WATER_TEMPERATURE = _gauge(
    "minefleet_threshold_water_temperature_celsius",
    "Temperature of the cooling water that warrants a warning (alerts.thresholds.water_temperature)",
)
THRESHOLD_PSU_TEMPERATURE = _gauge(
    "minefleet_threshold_psu_temperature_celsius",
    "Temperature of a power supply's sensor that warrants a warning (alerts.thresholds.psu_temperature)",
)
THRESHOLD_ROOM_EXCESS = _gauge(
    "minefleet_threshold_room_excess_celsius",
    "How much hotter than the median of its site a miner's hottest chip may be (alerts.thresholds.room_excess)",
)
THRESHOLD_HASHRATE_DROP = _ratio(
    "minefleet_threshold_hashrate_drop_ratio",
    "Loss against the last day's best hour, or against nominal, that warrants a warning"
    " (alerts.thresholds.hashrate_drop_percent)",
)
THRESHOLD_POWER_SPIKE = _gauge(
    "minefleet_threshold_power_spike_ratio",
    "Rise against the last hour that warrants a warning (alerts.thresholds.power_spike_percent)",
    low=0,
)
THRESHOLD_PRESET_EXCESS = _gauge(
    "minefleet_threshold_preset_excess_ratio",
    "Power above the preset's that warrants a warning (alerts.thresholds.preset_excess_percent)",
    low=0,
)
THRESHOLD_EFFICIENCY_LOSS = _gauge(
    "minefleet_threshold_efficiency_loss_ratio",
    "Rise of the energy a hash takes, against the day a week ago, that warrants a warning"
    " (alerts.thresholds.efficiency_loss_percent)",
    low=0,
)
THRESHOLD_FAN_LAG = _ratio(
    "minefleet_threshold_fan_lag_ratio",
    "How much slower than the fastest of its miner a fan may turn (alerts.thresholds.fan_lag_percent)",
)
THRESHOLD_HARDWARE_ERRORS = _ratio(
    "minefleet_threshold_hardware_error_ratio",
    "Share of wrong nonces that warrants a warning (alerts.thresholds.hardware_error_percent)",
)
THRESHOLD_REJECTS = _ratio(
    "minefleet_threshold_reject_ratio",
    "Share of rejected and late shares that warrants a warning (alerts.thresholds.reject_percent)",
)
THRESHOLD_SHARE_SILENCE = _gauge(
    "minefleet_threshold_share_silence_seconds",
    "Time without an accepted share that warrants a warning (alerts.thresholds.share_silence_minutes)",
    low=0,
)
THRESHOLD_OFFLINE = _gauge(
    "minefleet_threshold_offline_duration_seconds",
    "Time without an answer after which a miner is offline (alerts.thresholds.offline_duration_minutes)",
    low=0,
)
THRESHOLD_CHIPS_DYING = _gauge(
    "minefleet_threshold_chips_dying_chips",
    "Chips a board may lose in a day before its death is near (alerts.thresholds.chips_dying_per_day)",
    low=0,
)
THRESHOLD_REBOOTS = _gauge(
    "minefleet_threshold_reboots_restarts",
    "Restarts in an hour that warrant a warning (alerts.thresholds.restarts_per_hour)",
    low=0,
)
THRESHOLD_SITE_OUTAGE = _ratio(
    "minefleet_threshold_site_outage_ratio",
    "Share of a site's miners that are down at once when it is the site (alerts.thresholds.site_outage_percent)",
)
THRESHOLD_READING_TIME = _gauge(
    "minefleet_threshold_reading_time_seconds",
    "Time of a reading that is near its timeout: four fifths of it (fleet.timeout_seconds)",
    low=0,
)
THRESHOLD_POOL_DATA_AGE = _gauge(
    "minefleet_threshold_pool_data_age_seconds",
    "Age at which the pool's figures are stale and no longer shown (the pool's max_age_minutes)",
    low=0,
)
THRESHOLD_POOL_SHORTFALL = _ratio(
    "minefleet_threshold_pool_shortfall_ratio",
    "Share of the miners' work a pool may leave uncredited, luck and refused shares left out"
    " (alerts.thresholds.pool_shortfall_percent)",
)
THRESHOLD_PROFITABILITY_DROP = _ratio(
    "minefleet_threshold_profitability_drop_ratio",
    "Loss of what a hash earns against the day before that warrants a warning"
    " (alerts.thresholds.profitability_drop_percent)",
)
THRESHOLD_BUDGET = _ratio(
    "minefleet_threshold_request_budget_ratio",
    "Share of an hour's requests that should be left (alerts.thresholds.request_budget_percent)",
)
ELECTRICITY_PRICE = _gauge(
    "minefleet_electricity_price_usd_per_joule",
    "Price of electricity now: times watts it is USD per second (economics.electricity_usd_per_kwh, economics.tariff)",
    low=0,
)

# The exporter itself, on /metrics.
BUILD_INFO = _info("minefleet_build_info", "The exporter's version", "version python")
MINERS = _gauge("minefleet_miners", "Miners in the configuration")
POOL_ACCOUNTS = _gauge("minefleet_pools", "Pool accounts in the configuration")
PROBES = _counter("minefleet_probes_total", "Probes answered", "module")
PROBE_FAILURES = _counter(
    "minefleet_probe_failures_total", "Probes that found the target down, by reason", "module reason"
)
PROBE_DURATION = _add(
    Kind.HISTOGRAM, "minefleet_probe_duration_seconds", "Time from request to page of a probe", "module"
)
PROBES_IN_FLIGHT = _gauge("minefleet_probes_in_flight", "Probes being answered now")
BREAKERS = _gauge("minefleet_breakers", "Circuit breakers of configured targets by state", "module state")
RELOAD_SUCCESSFUL = _flag(
    "minefleet_config_last_reload_successful",
    "1 if the last reading of the configuration file was taken over",
)
RELOAD_TIMESTAMP = _gauge(
    "minefleet_config_last_reload_success_timestamp_seconds",
    "Unix time at which the running configuration was taken over",
)


@dataclass(frozen=True, slots=True)
class ProbeSeries:
    """The probe's own series for one kind of target: what every page of it has."""

    up: Metric
    duration: Metric
    failure: Metric
    breaker: Metric
    implausible: Metric
    unexpected: Metric


MINER_PROBE = ProbeSeries(UP, SCRAPE_DURATION, SCRAPE_FAILURE, BREAKER_STATE, IMPLAUSIBLE, UNEXPECTED)
MARKET_PROBE = ProbeSeries(
    MARKET_SOURCE_UP,
    MARKET_SOURCE_DURATION,
    MARKET_SOURCE_FAILURE,
    MARKET_SOURCE_BREAKER,
    MARKET_SOURCE_IMPLAUSIBLE,
    MARKET_SOURCE_UNEXPECTED,
)
POOL_PROBE = ProbeSeries(
    MINING_POOL_UP,
    MINING_POOL_SCRAPE_DURATION,
    MINING_POOL_SCRAPE_FAILURE,
    MINING_POOL_BREAKER_STATE,
    MINING_POOL_IMPLAUSIBLE,
    MINING_POOL_UNEXPECTED,
)
