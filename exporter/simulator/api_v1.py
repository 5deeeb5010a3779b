"""A miner's answers in the firmware's real interface, typed as its OpenAPI document has them.

Integers are integers, optional fields are left out rather than null (but in ``/chains/factory-info`` and
``/perf-summary``), and what failed, initialising and stopped miners answer is what recorded ones did.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from exporter.simulator.miner import DEVFEE_RATIO, SimBoard, SimMiner, SimPool

VERSIONS = ("1.2.7", "1.3.4")
# Older and newer builds differ from 1.2.7 by what they leave out or have besides; see `as_version`.
ALL_VERSIONS = ("1.2.0-beta10", "1.2.0-rc3", "1.2.0-rc5", "1.2.5", *VERSIONS[:1], "1.2.8", *VERSIONS[1:])
Json = Any


@dataclass(frozen=True, slots=True)
class Difference:
    """What a build lacks of 1.2.7: endpoints, and fields of the answers by name."""

    endpoints: frozenset[str] = frozenset()
    info: frozenset[str] = frozenset()
    summary: frozenset[str] = frozenset()
    chain: frozenset[str] = frozenset()
    pool: frozenset[str] = frozenset()
    fan: frozenset[str] = frozenset()
    status: frozenset[str] = frozenset()


_LATE = frozenset({"model", "chains", "chains/factory-info", "perf-summary"})
_OLD_INFO = frozenset({"algorithm", "hr_measure", "serial"})
_OLD_SUMMARY = frozenset({"hr_nominal", "hr_stock", "psu"})
_OLD_STATUS = frozenset({"failure_code", "warranty"})
DIFFERENCES = {
    "1.2.0-beta10": Difference(
        _LATE,
        _OLD_INFO,
        _OLD_SUMMARY | {"hr_realtime", "hr_average", "power_consumption", "hr_error"},
        frozenset({"power_consumption", "hr_error", "chip_temp", "pcb_temp"}),
        frozenset({"ping"}),
        frozenset({"status", "max_rpm"}),
        _OLD_STATUS,
    ),
    "1.2.0-rc3": Difference(
        _LATE,
        _OLD_INFO,
        _OLD_SUMMARY,
        frozenset(),
        frozenset(),
        frozenset({"status", "max_rpm"}),
        _OLD_STATUS,
    ),
    "1.2.0-rc5": Difference(
        _LATE,
        frozenset({"algorithm", "serial"}),
        _OLD_SUMMARY,
        fan=frozenset({"max_rpm"}),
        status=_OLD_STATUS,
    ),
    "1.2.5": Difference(
        frozenset({"model"}), frozenset({"algorithm"}), frozenset({"psu"}), status=_OLD_STATUS
    ),
    "1.2.8": Difference(summary=frozenset({"hr_realtime"})),
}


def has_endpoint(version: str, name: str) -> bool:
    """Whether the build answers ``/api/v1/NAME``; the deprecated ``/chips`` went with 1.3."""
    if is_1_3(version):
        return name not in ("chains", "chips")
    return name != "boards" and name not in DIFFERENCES.get(version, Difference()).endpoints


def says_not_found(version: str) -> bool:
    """Whether the build answers an unknown path of its interface with status 404, not with its web page."""
    return version.startswith("1.2.0-rc")


def as_version(name: str, answer: Json, version: str, miner: SimMiner, address: str) -> Json:
    """An answer of 1.2.7 (or 1.3) as *version* gives it."""
    lacks = DIFFERENCES.get(version)
    if lacks is None:
        return answer
    if name == "info":
        return _without(answer, lacks.info)
    if name == "status":
        return _without(answer, lacks.status)
    if name == "summary" and answer.get("miner"):
        body = _without(answer["miner"], lacks.summary)
        body["miner_status"] = _without(body["miner_status"], lacks.status)
        body["pools"] = [_without(pool, lacks.pool) for pool in body["pools"]]
        body["cooling"] = {
            **body["cooling"],
            "fans": [_without(fan, lacks.fan) for fan in body["cooling"]["fans"]],
        }
        early = version in ("1.2.0-beta10", "1.2.0-rc3")
        body["chains"] = [_old_chain(chain, lacks, sensors=early) for chain in body["chains"]]
        if version == "1.2.0-beta10":
            body["power_usage"] = float(body["power_usage"])
        if early:
            body["system"] = info(miner, version, address)["system"]
        return {"miner": body}
    return answer


def _without(answer: dict[str, Json], names: frozenset[str]) -> dict[str, Json]:
    return {key: value for key, value in answer.items() if key not in names}


def _old_chain(chain: dict[str, Json], lacks: Difference, *, sensors: bool) -> dict[str, Json]:
    made = _without(chain, lacks.chain)
    if "power_consumption" in lacks.chain:
        made["power_usage"] = float(chain["power_consumption"])
    if sensors:
        for kind in ("pcb_temp", "chip_temp"):
            made[f"{kind}_sens"] = [
                {"status": "measure", "temp": chain[kind]["min"]},
                {"status": "measure", "temp": chain[kind]["max"]},
                {"status": "init", "temp": 0},
            ]
    return made


def chips(miner: SimMiner) -> Json:
    """``GET /chips`` of 1.2, deprecated: an object, with other names than ``/chains``.

    A sensor stands in the chip it sits at; null in all others.
    """
    return {
        "chips_per_chain": miner.hardware.chips,
        "chains": [
            {"id": chain["id"], "chips": [_old_chip(chip, chain["sensors"]) for chip in chain["chips"]]}
            for chain in chains(miner)
        ],
    }


def _old_chip(chip: dict[str, Json], sensors: list[dict[str, Json]]) -> Json:
    sensor = next((sensor for sensor in sensors if sensor["loc"] == chip["id"]), None)
    return {
        "id": chip["id"],
        "hashrate": chip["hr"],
        "freq": chip["freq"],
        "temp": chip["temp"],
        "errors": chip["errs"],
        "status": chip["grade"],
        "sensor": sensor
        and {"status": sensor["state"], "chip_temp": sensor["chip"], "pcb_temp": sensor["board"]},
    }


def is_1_3(version: str) -> bool:
    """Whether the firmware is of the 1.3 line."""
    return version.startswith("1.3")


def info(miner: SimMiner, version: str, address: str) -> Json:
    """``GET /info``."""
    hardware = miner.hardware
    total = 233_712
    free = total - 60_000 - int(miner.uptime) % 5000
    return {
        "miner": hardware.name,
        "model": hardware.code,
        "fw_name": "Vnish",
        "fw_version": version,
        "build_uuid": "5b5006c2-6f4f-4d3b-9a5e-0c4f6f0f8f11",
        "build_name": "vnishnet",
        "build_time": "2025-05-29 19:22:26+00:00",
        "platform": hardware.platform,
        "install_type": "nand",
        "algorithm": hardware.algorithm,
        "hr_measure": hardware.measure,
        "serial": miner.serial,
        "system": {
            "os": "GNU/Linux",
            "miner_name": hardware.code,
            "file_system_version": "",
            "mem_total": total,
            "mem_free": free,
            "mem_free_percent": round(100 * free / total),
            "mem_buf": 31_928,
            "mem_buf_percent": 13,
            "network_status": {
                "mac": miner.mac,
                "dhcp": True,
                "ip": address,
                "netmask": "255.255.255.0",
                "gateway": "127.77.0.254",
                "dns": ["127.77.0.254"],
                "hostname": miner.name,
            },
            "uptime": uptime(miner.uptime),
        },
    }


def uptime(seconds: float) -> str:
    """As the control board prints it: ``0:06``, `` 1:00``, ``1 day,  3:58``, ``27 days, 12:24``."""
    minutes = int(seconds // 60)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if not days:
        return f"{hours}:{rest:02d}"
    return f"{days} day{'s' if days > 1 else ''}, {hours:2d}:{rest:02d}"


def model(miner: SimMiner, version: str) -> Json:
    """``GET /model``."""
    hardware = miner.hardware
    columns = 10
    rows = -(-hardware.chips // columns)
    overclock = {
        "max_voltage": 1500,
        "min_voltage": 1100,
        "default_voltage": hardware.board_millivolts // 10,
        "max_freq": hardware.chip_mhz + 300,
        "min_freq": 50,
        "default_freq": hardware.chip_mhz,
        "warn_freq": hardware.chip_mhz + 150,
        "max_voltage_stock_psu": 1500,
    }
    if is_1_3(version):
        overclock.update(power_metering=False, max_power_limit=5000)
    return {
        "full_name": hardware.name,
        "model": hardware.code,
        "algorithm": hardware.algorithm,
        "series": hardware.series,
        "platform": hardware.platform,
        "install_type": "nand",
        "hr_measure": hardware.measure,
        "serial": miner.serial,
        "chain": {
            "chips_per_chain": hardware.chips,
            "chips_per_domain": 10,
            "num_chains": hardware.boards,
            "topology": {
                "chips": [
                    [
                        row * columns + column
                        for column in range(columns)
                        if row * columns + column < hardware.chips
                    ]
                    for row in range(rows)
                ],
                "num_cols": columns,
                "num_rows": rows,
            },
        },
        "cooling": {
            "min_fan_pwm": 10,
            "min_target_temp": 40,
            "max_target_temp": 75,
            "fan_min_count": {"min": 0, "max": hardware.fans, "default": hardware.fans},
        },
        "overclock": overclock,
    }


def miner_status(miner: SimMiner, version: str) -> dict[str, Json]:
    """The state, as ``/summary`` and ``/status`` both give it."""
    status: dict[str, Json] = {"miner_state": miner.state, "miner_state_time": int(miner.state_seconds)}
    if miner.state == "failure":
        status.update(description="Failed to parse miner configuration", failure_code=1002)
    if is_1_3(version):
        status["throttled"] = 100
    return status


def status(miner: SimMiner, version: str, *, unlocked: bool) -> Json:
    """``GET /status``."""
    return {
        **miner_status(miner, version),
        "find_miner": False,
        "restart_required": False,
        "reboot_required": False,
        "unlocked": unlocked,
        "warranty": "active",
    }


def summary(miner: SimMiner, version: str, *, unlocked: bool) -> Json:
    """``GET /summary``; without a token the users of pools are hidden."""
    if "process_dead" in miner.faults:
        return {"miner": None}
    hardware = miner.hardware
    failed = miner.state == "failure"
    sleeping = miner.state in ("failure", "stopped")
    boards = [] if failed else [board for board in miner.boards if not miner.is_missing(board)]
    rate = 0.0 if failed else miner.rate()
    watts = 0 if failed else round(miner.watts())
    average = rate * 0.9995
    temperatures = [_temperatures(board) for board in boards]
    answer: dict[str, Json] = {
        "miner_status": miner_status(miner, version),
        "miner_type": f"{hardware.name} (Vnish {version})",
        "hr_stock": 0.0 if failed else hardware.stock_rate,
        "average_hashrate": round(average / 1000, 6),
        "instant_hashrate": round(rate / 1000, 6),
        "hr_realtime": round(rate, 3),
        "hr_nominal": 0.0 if sleeping else hardware.rate,
        "hr_average": round(average, 3),
        "pcb_temp": _span([celsius for pair in temperatures for celsius in pair[0]]),
        "chip_temp": _span([celsius for pair in temperatures for celsius in pair[1]]),
        "power_consumption": watts,
        "power_usage": watts,
        "power_efficiency": round(watts / (rate / 1000), 2) if rate else 0.0,
        "hw_errors_percent": 0.01 if rate else 0.0,
        "hr_error": 0.01 if rate else 0.0,
        "hw_errors": sum(board.hardware_errors for board in boards),
        "devfee_percent": round(DEVFEE_RATIO * 100, 3) if rate else 0.0,
        "devfee": round(rate * DEVFEE_RATIO, 3),
        "pools": [
            _pool(miner, pool, unlocked) for pool in miner.pools if not failed or pool.kind == "DevFee"
        ],
        "cooling": {
            "fan_num": 0 if failed else hardware.fans,
            "fans": []
            if failed
            else [
                {
                    "id": index,
                    "rpm": round(rpm),
                    "status": "lost" if rpm == 0 else "ok",
                    "max_rpm": hardware.fan_rpm,
                }
                for index, rpm in enumerate(miner.fan_rpm)
            ],
            "settings": {"mode": {"name": "auto", "param": 68}},
            "fan_duty": round(miner.duty),
        },
        "chains": [_board(miner, board, sleeping) for board in boards],
        "found_blocks": 0,
        "best_share": miner.best_share,
    }
    if not failed:
        answer["psu"] = {
            "psu_power_metering": hardware.code == "l9",
            "temps": {
                "llc1_temp": 52 + watts // 500,
                "llc2_temp": 53 + watts // 500,
                "pfc_temp": 48 + watts // 600,
            },
        }
    if is_1_3(version):
        answer["restart_count"] = miner.restarts
    return {"miner": answer}


def _temperatures(board: SimBoard) -> tuple[list[int], list[int]]:
    """Board and chip sensors of a board, in whole degrees."""
    chip = board.celsius
    return [round(chip - 24), round(chip - 12)], [round(chip - 9), round(chip)]


def _span(values: list[int]) -> dict[str, int]:
    return {"min": min(values), "max": max(values)} if values else {"min": 0, "max": 0}


def _board(miner: SimMiner, board: SimBoard, sleeping: bool) -> Json:
    pcb, chip = _temperatures(board)
    state = miner.board_state(board)
    hashing = state == "mining"
    rate = miner.board_rate(board)
    nominal = miner.board_nominal()
    grades = {"red": 0, "orange": 0, "grey": 0}
    for index in range(miner.hardware.chips):
        grades[miner.grade(board, index)] += 1
    answer: dict[str, Json] = {
        "id": board.number,
        "frequency": float(miner.hardware.chip_mhz) if hashing else 0.0,
        "voltage": miner.hardware.board_millivolts if hashing else 0,
        "power_consumption": round(miner.board_watts(board)),
        "hashrate_ideal": round(nominal, 1),
        "hashrate_rt": round(rate, 3),
        "hashrate_percentage": round(100 * rate / nominal, 2),
        "hr_error": 0.01 if hashing else 0.0,
        "hw_errors": board.hardware_errors,
        "pcb_temp": _span(pcb),
        "chip_temp": _span(chip),
        "chip_statuses": grades,
        "status": {"state": state},
    }
    if sleeping:
        del answer["hashrate_ideal"]
    if state == "failure":
        answer["status"]["description"] = f"chain#{board.number} failed to init pic controller"
    return answer


def _pool(miner: SimMiner, pool: SimPool, unlocked: bool) -> Json:
    devfee = pool.kind == "DevFee"
    standby = not devfee and pool.number > 0
    age = miner.last_share_age(pool)
    # A miner that has failed does not reach even the firmware's own pool.
    idle = "offline" if miner.state == "failure" else "working"
    return {
        "id": pool.number,
        "url": miner.url_of(pool),
        "pool_type": pool.kind,
        "user": miner.user_of(pool) if unlocked or devfee else "*****",
        "status": "active" if miner.state == "mining" and not devfee and not standby else idle,
        "asic_boost": miner.hardware.algorithm == "sha256d" and not devfee,
        "diff": thousands(pool.difficulty),
        "accepted": pool.accepted,
        "rejected": pool.rejected,
        "stale": pool.stale,
        "ls_diff": pool.difficulty if pool.last_share is not None else 0.0,
        "ls_time": "0" if age is None else clock(age),
        "diffa": pool.accepted_difficulty,
        "ping": 0 if devfee else 18 + pool.number,
    }


def thousands(value: float) -> str:
    """A difficulty as the firmware prints it: three significant digits and a ``K``."""
    return f"{value / 1000:.3g}K" if value >= 1000 else f"{value:.3g}"


def clock(seconds: float) -> str:
    """``H:MM:SS``."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"


def chains(miner: SimMiner) -> Json:
    """``GET /chains`` of 1.2, ``GET /boards`` of 1.3: every chip."""
    if miner.state == "failure" or "process_dead" in miner.faults:
        return []
    answer = []
    for board in miner.boards:
        if miner.is_missing(board):
            continue
        jitter = miner.jitter(board)
        pcb, chip = _temperatures(board)
        state = miner.board_state(board)
        hashing = state == "mining"
        middle = miner.hardware.chips // 2
        # The sensors of a board that cannot be talked to are in error.
        works = state != "failure"
        board_status: dict[str, Json] = {"state": state}
        if state == "failure":
            board_status["failure_message"] = f"chain#{board.number} failed to init pic controller"
        answer.append(
            {
                "id": board.number,
                "freq": float(miner.hardware.chip_mhz) if hashing else 0.0,
                "hr_nominal": round(miner.board_nominal(), 1),
                "hr_realtime": round(miner.board_rate(board), 3),
                "status": board_status,
                "sensors": [
                    _sensor(3, pcb[0], chip[0], "measure") if works else _sensor(3, 0, 0, "error"),
                    _sensor(middle, pcb[1], chip[1], "measure") if works else _sensor(middle, 0, 0, "error"),
                    _sensor(miner.hardware.chips, 0, 0, "init"),
                ],
                "chips": [
                    {
                        "id": index + 1,
                        "freq": miner.hardware.chip_mhz if hashing else 0,
                        "volt": miner.hardware.chip_millivolts if hashing else 0,
                        "temp": round(board.celsius - 9 * abs(index - middle) / middle, 1),
                        "errs": board.hardware_errors // 10 if index % 37 == 0 else 0,
                        "hr": round(miner.chip_rate(board, index, jitter), 2),
                        "grade": miner.grade(board, index),
                        "throttled": False,
                    }
                    for index in range(miner.hardware.chips)
                ],
            }
        )
    return answer


def _sensor(chip: int, board_celsius: int, chip_celsius: int, state: str) -> Json:
    return {"loc": chip, "board": board_celsius, "chip": chip_celsius, "state": state}


def factory_info(miner: SimMiner) -> Json:
    """``GET /chains/factory-info``; all null when the boards cannot be read."""
    if miner.state == "failure":
        return {"hr_stock": None, "has_pics": None, "psu_model": None, "psu_serial": None, "chains": None}
    hardware = miner.hardware
    return {
        "hr_stock": hardware.stock_rate,
        "has_pics": True,
        "psu_model": "APW171215a",
        "psu_serial": f"PSU{miner.seed:08d}",
        "chains": [
            {
                "id": board.number,
                "board_model": f"{hardware.code.upper()}BB",
                "chip_bin": 1 + board.number % 3,
                "freq": hardware.chip_mhz,
                "hashrate": hardware.stock_rate / hardware.boards,
                "serial": board.serial,
                "volt": hardware.board_millivolts,
            }
            for board in miner.boards
        ],
    }


def perf_summary(miner: SimMiner, version: str) -> Json:
    """``GET /perf-summary``; where no preset rules its name is ``disabled``."""
    hardware = miner.hardware
    current = _preset(miner) if miner.preset else {**_preset(miner), "name": "disabled", "pretty": "disabled"}
    switcher: dict[str, Json] = {
        "enabled": False,
        "top_preset": f"{hardware.watts}",
        "min_preset": f"{hardware.watts - 500}",
        "decrease_temp": 75,
        "rise_temp": 55,
        "check_time": 300,
        "autochange_top_preset": False,
        "ignore_fan_speed": False,
    }
    if not is_1_3(version):
        switcher["power_delta"] = 0
    return {
        "current_preset": {
            **current,
            "globals": {"volt": hardware.board_millivolts // 10, "freq": hardware.chip_mhz},
        },
        "preset_switcher": switcher,
    }


def _preset(miner: SimMiner) -> dict[str, Json]:
    """The model's preset: they are named by their watts, and scrypt models print MH."""
    hardware = miner.hardware
    amount = f"{hardware.rate:.0f} MH" if hardware.unit == 1e6 else f"{hardware.rate / 1000:.0f} TH"
    return {
        "name": f"{hardware.watts}",
        "pretty": f"{hardware.watts} watt ~ {amount}",
        "status": "tuned",
        "modded_psu_required": False,
    }


def settings(miner: SimMiner) -> Json:
    """``GET /settings``, with a token; what fleet tools read of it."""
    hardware = miner.hardware
    return {
        "miner": {
            "cooling": {
                "mode": {"name": "auto", "param": 68},
                "fan_min_count": hardware.fans,
                "fan_min_duty": 10,
            },
            "misc": {"restart_temp": 90},
            "overclock": {
                "modded_psu": False,
                "preset": str(hardware.watts) if miner.preset else "disabled",
                "globals": {"volt": hardware.board_millivolts // 10, "freq": hardware.chip_mhz},
                "chains": [],
            },
            "pools": [
                {"url": miner.url_of(pool), "user": miner.user_of(pool), "pass": "x"}
                for pool in miner.pools
                if pool.kind == "UserPool"
            ],
        },
        "ui": {},
        "regional": {"timezone": {"current": "GMT"}},
        "network": {
            "dhcp": True,
            "dnsservers": [],
            "gateway": "127.77.0.254",
            "hostname": miner.name,
            "ipaddress": "127.77.0.1",
            "netmask": "255.255.255.0",
        },
    }


def presets(miner: SimMiner) -> Json:
    """``GET /autotune/presets``, with a token."""
    return [_preset(miner)]
