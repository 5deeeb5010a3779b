"""What the firmware's OpenAPI documents of 1.2.7 and 1.3.4 say of its read endpoints, as types.

``Optional`` fields may be left out; where the document also allows null, ``Nullable`` is around the type.
Floats are JSON numbers of any form, integers are integers. Used to hold the simulator to the firmware, and
to draw arbitrary answers that conform.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Int:
    low: int = -(2**31)
    high: int = 2**31 - 1


@dataclass(frozen=True)
class Float:
    pass


@dataclass(frozen=True)
class Str:
    pass


@dataclass(frozen=True)
class Bool:
    pass


@dataclass(frozen=True)
class Enum:
    values: tuple[str, ...]


@dataclass(frozen=True)
class Array:
    items: Any


@dataclass(frozen=True)
class OneOf:
    choices: tuple[Any, ...]


@dataclass(frozen=True)
class Optional:
    """May be absent."""

    kind: Any


@dataclass(frozen=True)
class Nullable:
    """May be null."""

    kind: Any


UINT, INT, INT64, FLOAT, STR, BOOL = Int(0), Int(), Int(0, 2**63 - 1), Float(), Str(), Bool()


def enum(text: str) -> Enum:
    return Enum(tuple(text.split()))


def maybe(kind: Any) -> Optional:
    """Absent or null: how most optional fields of the documents are declared."""
    return Optional(Nullable(kind))


STATES = enum("mining initializing starting auto-tuning restarting shutting-down stopped failure")
BOARD_STATES = enum("initializing mining stopped failure disconnected disabled unknown")
PLATFORM = enum("aml bb cv stm xil")
INSTALL = enum("sd nand")
RANGE = {"min": INT, "max": INT}
GRADE = enum("grey orange red")


# ``/chips``, deprecated in 1.2 and the only list of chips before 1.2.5.
DEPRECATED_CHIPS = {
    "chips_per_chain": UINT,
    "chains": Array(
        {
            "id": UINT,
            "chips": Array(
                {
                    "id": UINT,
                    "hashrate": FLOAT,
                    "freq": UINT,
                    "temp": FLOAT,
                    "errors": UINT,
                    "status": GRADE,
                    "sensor": maybe(
                        {
                            "status": enum("init ready measure error unknown"),
                            "chip_temp": INT,
                            "pcb_temp": INT,
                        }
                    ),
                }
            ),
        }
    ),
}


def documents(version: str) -> dict[str, Any]:
    """The answer types of *version* (``1.2.7`` or ``1.3.4``) by path below ``/api/v1``."""
    new = version.startswith("1.3")
    status: dict[str, Any] = {
        "description": maybe(STR),
        "failure_code": maybe(INT),
        "miner_state": STATES,
        "miner_state_time": Int(-(2**63), 2**63 - 1),
        **({"throttled": Int(20, 100)} if new else {}),
    }
    board = {
        "chip_statuses": {"grey": INT, "orange": INT, "red": INT},
        "chip_temp": RANGE,
        "frequency": FLOAT,
        # Required by the document, left out by recorded miners that sleep.
        "hashrate_ideal": Optional(FLOAT),
        "hashrate_percentage": FLOAT,
        "hashrate_rt": FLOAT,
        "hr_error": FLOAT,
        "hw_errors": INT,
        "id": UINT,
        "inlet_water_temp": maybe(UINT),
        "outlet_water_temp": maybe(UINT),
        "pcb_temp": RANGE,
        "power_consumption": INT,
        "status": {"description": maybe(STR), "state": BOARD_STATES},
        "voltage": INT,
    }
    pool = {
        "accepted": UINT,
        "asic_boost": BOOL,
        "diff": STR,
        "diffa": FLOAT,
        "id": UINT,
        "ls_diff": FLOAT,
        "ls_time": STR,
        "ping": UINT,
        "pool_type": enum("UserPool DevFee Refund"),
        "rejected": UINT,
        "stale": UINT,
        "status": enum("offline working disabled active rejecting unknown"),
        "url": STR,
        "user": STR,
    }
    mode = OneOf(
        (
            {"name": enum("auto"), "param": UINT},
            {"name": enum("manual"), "param": UINT},
            {"name": enum("immersion")},
        )
    )
    miner = {
        "average_hashrate": FLOAT,
        "best_share": INT64,
        "chains": Array(board),
        "chip_temp": RANGE,
        "cooling": {
            "fan_duty": INT,
            "fan_num": UINT,
            "fans": Array({"id": UINT, "max_rpm": UINT, "rpm": INT, "status": enum("ok lost")}),
            "settings": {"mode": mode},
        },
        "devfee": FLOAT,
        "devfee_percent": FLOAT,
        "found_blocks": UINT,
        "hr_average": FLOAT,
        "hr_error": FLOAT,
        "hr_nominal": FLOAT,
        "hr_realtime": FLOAT,
        "hr_stock": FLOAT,
        "hw_errors": INT,
        "hw_errors_percent": FLOAT,
        "instant_hashrate": FLOAT,
        "miner_status": status,
        "miner_type": STR,
        "pcb_temp": RANGE,
        "pools": Array(pool),
        "power_consumption": INT,
        "power_efficiency": FLOAT,
        "power_usage": INT,
        "psu": maybe(
            {
                "psu_power_metering": maybe(BOOL),
                "temps": maybe({"llc1_temp": maybe(INT), "llc2_temp": maybe(INT), "pfc_temp": maybe(INT)}),
            }
        ),
        **({"restart_count": UINT} if new else {}),
    }
    chain_chips = {
        "chips": Array(
            {
                "errs": UINT,
                "freq": UINT,
                "grade": GRADE,
                "hr": FLOAT,
                "id": UINT,
                "temp": FLOAT,
                "throttled": BOOL,
                "volt": INT,
            }
        ),
        "freq": FLOAT,
        "hr_nominal": FLOAT,
        "hr_realtime": FLOAT,
        "id": UINT,
        "sensors": Array(
            {"board": INT, "chip": INT, "loc": UINT, "state": enum("init ready measure error unknown")}
        ),
        "status": {"failure_message": maybe(STR), "state": BOARD_STATES},
    }
    overclock = {
        "default_freq": UINT,
        "default_voltage": UINT,
        "max_freq": UINT,
        "max_voltage": UINT,
        "max_voltage_stock_psu": UINT,
        "min_freq": UINT,
        "min_voltage": UINT,
        "warn_freq": UINT,
        **({"max_power_limit": UINT, "power_metering": BOOL} if new else {}),
    }
    switcher = {
        "autochange_top_preset": maybe(BOOL),
        "check_time": maybe(Int(60, 600)),
        "decrease_temp": maybe(Int(25, 90)),
        "enabled": maybe(BOOL),
        "ignore_fan_speed": maybe(BOOL),
        "min_preset": maybe(STR),
        "rise_temp": maybe(Int(-100, 85)),
        "top_preset": maybe(STR),
        **({} if new else {"power_delta": maybe(Int(0, 50))}),
    }
    return {
        "info": {
            "algorithm": enum("sha256d scrypt unknown" if new else "sha256d scrypt"),
            "build_name": Optional(STR),
            "build_time": STR,
            "build_uuid": Optional(STR),
            "fw_name": STR,
            "fw_version": STR,
            "hr_measure": enum("GH/s MH/s N/A" if new else "GH/s MH/s"),
            "install_type": INSTALL,
            "miner": STR,
            "model": STR,
            "platform": PLATFORM,
            "serial": STR,
            "system": {
                "file_system_version": STR,
                "mem_buf": UINT,
                "mem_buf_percent": UINT,
                "mem_free": UINT,
                "mem_free_percent": UINT,
                "mem_total": UINT,
                "miner_name": STR,
                "network_status": {
                    "dhcp": maybe(BOOL),
                    "dns": Array(STR),
                    "gateway": STR,
                    "hostname": STR,
                    "ip": STR,
                    "mac": STR,
                    "netmask": STR,
                },
                "os": STR,
                "uptime": STR,
            },
        },
        "model": {
            "algorithm": enum("sha256d scrypt"),
            "chain": {
                "chips_per_chain": UINT,
                "chips_per_domain": UINT,
                "num_chains": UINT,
                "topology": {"chips": Array(Array(INT)), "num_cols": INT, "num_rows": INT},
            },
            "cooling": {
                "fan_min_count": maybe({"default": UINT, "max": UINT, "min": UINT}),
                "max_target_temp": UINT,
                "min_fan_pwm": UINT,
                "min_target_temp": UINT,
            },
            "full_name": STR,
            "hr_measure": enum("GH/s MH/s"),
            "install_type": INSTALL,
            "model": STR,
            "overclock": overclock,
            "platform": PLATFORM,
            "serial": STR,
            "series": enum("l7 l9 x19 x21"),
        },
        "status": {
            **status,
            "find_miner": BOOL,
            "reboot_required": BOOL,
            "restart_required": BOOL,
            "unlock_timeout": maybe(INT64),
            "unlocked": BOOL,
            "warranty": enum("active inactive expired cancelled not_provided"),
        },
        "summary": {"miner": maybe(miner)},
        "boards" if new else "chains": Array(chain_chips),
        "chains/factory-info": {
            "chains": maybe(
                Array(
                    {
                        "board_model": STR,
                        "chip_bin": UINT,
                        "freq": UINT,
                        "hashrate": FLOAT,
                        "id": UINT,
                        "serial": STR,
                        "volt": UINT,
                    }
                )
            ),
            "has_pics": maybe(BOOL),
            "hr_stock": maybe(FLOAT),
            "psu_model": maybe(STR),
            "psu_serial": maybe(STR),
        },
        "perf-summary": {
            "current_preset": maybe(
                {
                    "globals": maybe({"freq": maybe(UINT), "volt": maybe(UINT)}),
                    "modded_psu_required": BOOL,
                    "name": STR,
                    "pretty": STR,
                    "status": enum("untuned tuned"),
                }
            ),
            "preset_switcher": switcher,
        },
    }


def faults(kind: Any, data: Any, path: str = "") -> list[str]:
    """Where *data* does not conform to *kind*; empty if it does."""
    match kind:
        case Optional(inner):
            return faults(inner, data, path)
        case Nullable(inner):
            return [] if data is None else faults(inner, data, path)
        case Int(low, high):
            good = type(data) is int and low <= data <= high
        case Float():
            good = type(data) in (int, float)
        case Str():
            good = type(data) is str
        case Bool():
            good = type(data) is bool
        case Enum(values):
            good = data in values
        case Array(inner):
            if not isinstance(data, list):
                return [f"{path}: {data!r} is no array"]
            return [
                fault for index, item in enumerate(data) for fault in faults(inner, item, f"{path}[{index}]")
            ]
        case OneOf(choices):
            good = any(not faults(choice, data) for choice in choices)
        case dict():
            if not isinstance(data, dict):
                return [f"{path}: {data!r} is no object"]
            found = [f"{path}.{key}: not in the document" for key in data.keys() - kind.keys()]
            for key, inner in kind.items():
                if key in data:
                    found += faults(inner, data[key], f"{path}.{key}")
                elif not isinstance(inner, Optional):
                    found.append(f"{path}.{key}: missing")
            return found
        case _:
            raise AssertionError(kind)
    return [] if good else [f"{path}: {data!r} is not {kind}"]
