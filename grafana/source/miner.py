"""One miner: what is wrong with it, since when, which part, what it earns and costs."""

from __future__ import annotations

from typing import Any

from fleet import ELECTRICITY, HEAT, HEATS, LOST, POWER, PROBLEMS, REVENUE
from vocabulary import (
    AGE,
    BAD,
    CELSIUS,
    COUNT,
    EFFICIENCY,
    HASHRATE,
    HERTZ,
    MINER,
    OFF,
    OK,
    PLAIN,
    RPM,
    SECONDS,
    SEVERITIES,
    SHARE,
    USD,
    VOLTS,
    WARN,
    WATTS,
    Column,
    Figure,
    annotations,
    board_of,
    coloured,
    facts,
    figures,
    filters,
    graph,
    label,
    lines,
    list_of,
    mapped,
    query,
    row,
    severity,
    shown_as,
    timeline,
    words,
)

UID = MINER

# The firmware's states, 0 for no answer; the words are its own.
MINER_STATES = {
    0: ("no answer", BAD),
    1: ("failure", "dark-red"),
    2: ("stopped", WARN),
    3: ("shutting-down", "dark-orange"),
    4: ("restarting", "yellow"),
    5: ("starting", "dark-yellow"),
    6: ("initializing", "light-yellow"),
    7: ("auto-tuning", "light-blue"),
    8: ("mining", OK),
}
BOARD_STATES = {
    1: ("disconnected", BAD),
    2: ("failure", "dark-red"),
    3: ("unknown", OFF),
    4: ("stopped", WARN),
    5: ("disabled", OFF),
    6: ("initializing", "yellow"),
    7: ("mining", OK),
}
BREAKERS = {0: ("closed", OK), 1: ("half open", WARN), 2: ("open", BAD)}
PART = ("job", "instance", "board")


def coded(metric: str, states: dict[int, tuple[str, str]]) -> str:
    """A state set as one number; the word tells which."""
    return " or ignoring (state) ".join(
        f'(vnish_{metric}{{F, state="{word}"}} == 1) * {code}' for code, (word, _) in states.items() if code
    )


def dashboard() -> Any:
    """The dashboard's builder."""
    return board_of(
        UID,
        "Mining: miner",
        "One miner: what is wrong with it, since when, which part, what it earns and costs.",
        [*_now(), *_parts(), *_pools(), *_money(), *_health()],
        filters(single=True),
        annotations=annotations(all_shown=True),
    )


def _now() -> list[Any]:
    return [
        list_of(
            "What is wrong?",
            "All that is wrong with this miner now, worst first.",
            (0, 0, 8, 7),
            {
                "Severity": severity(
                    f"floor({PROBLEMS}) or label_replace(vnish_up{{F}} * 0 unless on (job, instance) {PROBLEMS},"
                    ' "problem", "nothing is wrong", "", "")',
                    SEVERITIES,
                ),
                "problem": words("What is wrong"),
            },
            by=("job", "instance", "problem"),
            sort=(("Severity", True),),
            none="Nothing is known of it",
        ),
        figures(
            "How does it do?",
            "Hashrate now, of what its preset should give, and the energy for a thousand million hashes.",
            (8, 0, 8, 4),
            Figure("hashrate", "vnish_hashrate_hashes_per_second{F}", HASHRATE, decimals=1),
            Figure("of its preset", "instance:vnish_hashrate_per_nominal:ratio{F}", SHARE, decimals=0),
            Figure("energy", "instance:vnish_power_joules_per_hash:ratio{F} * 1e9", EFFICIENCY, decimals=0),
            none="no answer",
        ),
        figures(
            "How hot is it, and how hungry?",
            "Its hottest chip, against its own thresholds, and its power.",
            (16, 0, 8, 4),
            Figure("hottest chip", "vnish_chip_temperature_max_celsius{F}", CELSIUS, decimals=0),
            Figure("heat", HEAT, COUNT, words=HEATS),
            Figure("power", POWER, WATTS, decimals=2),
            none="no answer",
        ),
        figures(
            "What does it earn and cost a day?",
            "A day at the price, hashrate and power of now; and what it fails to earn of what it should.",
            (8, 4, 16, 3),
            Figure("earning", REVENUE, USD, decimals=2),
            Figure("electricity", ELECTRICITY, USD, decimals=2),
            Figure("losing", LOST, USD, decimals=2, colours=((None, PLAIN), (1, WARN))),
            Figure("up for", "vnish_uptime_seconds{F}", AGE, decimals=0),
            none="not known",
        ),
        timeline(
            "What did it do, and when?",
            "The state its firmware was in; no answer where it gave none. Restarts and changes of preset are"
            " marked in the graphs below.",
            (0, 7, 24, 5),
            MINER_STATES,
            query(
                f"max by (instance) ({coded('state', MINER_STATES)} or on (job, instance) (vnish_up{{F}} == 0) * 0)",
                "{{instance}}",
            ),
        ),
        graph(
            "Does it hash what it should?",
            "Its hashrate now and as averaged by the firmware since mining began, against what its preset and"
            " its model should give.",
            (0, 12, 12, 9),
            HASHRATE,
            *lines(
                ("now", "vnish_hashrate_hashes_per_second{F}"),
                ("average", "vnish_hashrate_average_hashes_per_second{F}"),
                ("preset", "vnish_hashrate_nominal_hashes_per_second{F}"),
                ("factory", "vnish_hashrate_stock_hashes_per_second{F}"),
            ),
            limits=("preset", "factory"),
            colours={"now": OK, "average": "light-blue", "preset": WARN, "factory": OFF},
        ),
        graph(
            "Is it too hot?",
            "Hottest and coolest chip and hottest board sensor, against the thresholds configured for this miner.",
            (12, 12, 12, 9),
            CELSIUS,
            *lines(
                ("hottest chip", "vnish_chip_temperature_max_celsius{F}"),
                ("coolest chip", "vnish_chip_temperature_min_celsius{F}"),
                ("hottest board", "vnish_pcb_temperature_max_celsius{F}"),
                ("warning", "minefleet_threshold_temperature_warning_celsius{F}"),
                ("critical", "minefleet_threshold_temperature_critical_celsius{F}"),
            ),
            minimum=None,
            decimals=0,
            limits=("warning", "critical"),
            colours={
                "hottest chip": OK,
                "coolest chip": "light-blue",
                "hottest board": "purple",
                "warning": WARN,
                "critical": BAD,
            },
        ),
    ]


def _parts() -> list[Any]:
    return [
        row("Boards and fans", 21),
        list_of(
            "Which board fails?",
            "The boards side by side. Weak chips are those the firmware calls orange, dead ones red.",
            (0, 22, 24, 6),
            {
                "board": label("Board", 75),
                "State": Column(coded("board_state", BOARD_STATES), mapped(BOARD_STATES), width=105),
                "Hashrate": Column("vnish_board_hashrate_hashes_per_second{F}", shown_as(HASHRATE, 2)),
                "Of nominal": Column(
                    "vnish_board_hashrate_hashes_per_second{F} / on (job, instance, board)"
                    " (vnish_board_hashrate_nominal_hashes_per_second{F} > 0)",
                    shown_as(SHARE, 0),
                ),
                "Dead chips": Column(
                    'vnish_board_chips{F, grade="red"}',
                    [*shown_as(COUNT, 0), *coloured((None, PLAIN), (1, BAD))],
                ),
                "Weak chips": Column(
                    'vnish_board_chips{F, grade="orange"}',
                    [*shown_as(COUNT, 0), *coloured((None, PLAIN), (1, WARN))],
                ),
                "Hottest chip": Column("vnish_board_chip_temperature_max_celsius{F}", shown_as(CELSIUS, 0)),
                "Power": Column("vnish_board_power_watts{F}", shown_as(WATTS, 2)),
                "Supply": Column("vnish_board_voltage_volts{F}", shown_as(VOLTS, 2)),
                "Frequency": Column("vnish_board_frequency_hertz{F}", shown_as(HERTZ, 0)),
                "Errors an hour": Column(
                    "increase(vnish_board_hardware_errors_total{F}[1h])", shown_as(COUNT, 0)
                ),
                "Serial": Column("vnish_board_info{F}", also=("serial",), hidden=True),
                "serial": label("Serial"),
            },
            by=PART,
            sort=(("Board", False),),
            none="It tells of no boards",
        ),
        graph(
            "Which board hashes less?",
            "Hashrate of each board; equal boards run together.",
            (0, 28, 8, 8),
            HASHRATE,
            query("vnish_board_hashrate_hashes_per_second{F}", "board {{board}}"),
        ),
        graph(
            "Which board is hotter?",
            "Hottest chip of each board.",
            (8, 28, 8, 8),
            CELSIUS,
            query("vnish_board_chip_temperature_max_celsius{F}", "board {{board}}"),
            minimum=None,
            decimals=0,
        ),
        graph(
            "Do its fans turn?",
            "Speed of each fan; one that has stopped lies at zero. A miner in immersion has none.",
            (16, 28, 8, 8),
            RPM,
            query("vnish_fan_speed_rpm{F}", "fan {{fan}}"),
            decimals=0,
            none="it tells of no fans",
        ),
    ]


def _pools() -> list[Any]:
    by = ("job", "instance", "pool", "type")
    return [
        row("Shares and pools", 36),
        list_of(
            "Whom does it mine for?",
            "The pools in its list, as the miner itself sees them; DevFee is the firmware's own. A stranger's pool"
            " is neither expected by the configuration nor that of most miners.",
            (0, 37, 16, 7),
            {
                "pool": label("Pool", 60),
                "type": label("Whose", 90),
                "Active": Column(
                    "vnish_pool_active{F}", mapped({0: ("standby", OFF), 1: ("active", OK)}), width=85
                ),
                "Stranger": Column(
                    "instance_pool:minefleet_pool_stranger:bool{F}",
                    mapped({1: ("not yours", BAD)}),
                    title="Stranger's",
                    width=95,
                ),
                "Url": Column("vnish_pool_info{F}", also=("url", "user"), hidden=True),
                "url": label("Address", 280),
                "user": label("Worker"),
                "Last share": Column(
                    "vnish_pool_last_share_age_seconds{F}", shown_as(AGE, 0), title="Last share, ago"
                ),
                "Ping": Column("vnish_pool_ping_seconds{F}", shown_as(SECONDS, 0)),
            },
            by=by,
            sort=(("Pool", False),),
            none="It tells of no pools",
        ),
        graph(
            "Are its shares taken?",
            "Rejected and late shares of all shares at the owner's pools, over ten minutes.",
            (16, 37, 8, 7),
            SHARE,
            *lines(
                *(
                    (
                        word,
                        f'sum(rate(vnish_pool_shares_{kind}_total{{F, type!="DevFee"}}[10m]))'
                        ' / (sum(rate(vnish_pool_shares_accepted_total{F, type!="DevFee"}[10m]))'
                        ' + sum(rate(vnish_pool_shares_rejected_total{F, type!="DevFee"}[10m]))'
                        ' + sum(rate(vnish_pool_shares_stale_total{F, type!="DevFee"}[10m])) > 0)',
                    )
                    for word, kind in (("rejected", "rejected"), ("late", "stale"))
                )
            ),
            decimals=1,
            at_least=0.05,
            none="it tells of no shares",
            colours={"rejected": BAD, "late": WARN},
        ),
    ]


def _money() -> list[Any]:
    return [
        row("Money and power", 44),
        graph(
            "What did it earn and cost?",
            "Revenue, electricity and losses, each in dollars a day at the time's price.",
            (0, 45, 12, 8),
            USD,
            *lines(("revenue", REVENUE), ("electricity", ELECTRICITY), ("lost", LOST)),
            decimals=2,
            colours={"revenue": OK, "electricity": WARN, "lost": BAD},
        ),
        graph(
            "What does it draw?",
            "Power, against what its preset is named after.",
            (12, 45, 12, 8),
            WATTS,
            *lines(("power", POWER), ("preset", "vnish_preset_power_watts{F}")),
            limits=("preset",),
            colours={"power": OK, "preset": WARN},
        ),
    ]


def _health() -> list[Any]:
    return [
        row("What it is, and how it answers", 53),
        facts(
            "What is it?",
            "What the miner says it is, and what the configuration says of it.",
            (0, 54, 8, 11),
            "max by (model, firmware, firmware_version, platform, install_type, serial, mac, hostname, api) (vnish_miner_info{F})",
            "max by (worker) (minefleet_miner_info{F})",
            "max by (account) (minefleet_miner_account_info{F})",
            "max by (preset, status) (vnish_preset_info{F})",
        ),
        list_of(
            "What does the firmware say of it?",
            "The firmware's own words on why mining or a board failed.",
            (8, 54, 16, 4),
            {
                "board": label("Board", 75),
                "Words": Column(
                    "vnish_failure_info{F} or on (job, instance, board) vnish_board_failure_info{F}",
                    hidden=True,
                    also=("description",),
                ),
                "description": label("In the firmware's words"),
            },
            by=PART,
            sort=(("Board", False),),
            none="It tells of no failure",
        ),
        timeline(
            "Is it asked?",
            "The exporter's circuit breaker: open while it spares a miner that does not answer.",
            (8, 58, 8, 7),
            BREAKERS,
            query(
                'max by (instance) (vnish_breaker_state{F, state="open"} * 2'
                ' + ignoring (state) vnish_breaker_state{F, state="half_open"})',
                "breaker",
            ),
        ),
        graph(
            "How fast does it answer?",
            "Time one reading takes.",
            (16, 58, 8, 7),
            SECONDS,
            query("vnish_scrape_duration_seconds{F}", "reading"),
            colours={"reading": OK},
        ),
    ]
