"""The state of things on one screen: who needs me now, and why; what it earns; where in the room."""

from __future__ import annotations

from typing import Any

from vocabulary import (
    BAD,
    CELSIUS,
    COUNT,
    EFFICIENCY,
    FLEET,
    HASHRATE,
    KEPT,
    MINER,
    OK,
    PLAIN,
    SEVERITIES,
    SHARE,
    USD,
    WARN,
    WATTS,
    Column,
    Figure,
    annotations,
    bars,
    board_of,
    coloured,
    figures,
    filters,
    graph,
    label,
    lines,
    list_of,
    mapped,
    miner,
    on_the_right,
    room_map,
    severity,
    shown_as,
    unseen,
    words,
)

UID = FLEET

LOST = "instance:minefleet_lost_revenue_usd_per_day:estimate{F}"
REVENUE = "instance:minefleet_revenue_usd_per_day:estimate{F}"
ELECTRICITY = "instance:minefleet_electricity_usd_per_day:estimate{F}"
POWER = "instance:vnish_power_watts:known{F}"
PROBLEMS = "instance:minefleet_problem:severity{F}"
WORST = f"topk by (job, instance) (1, {PROBLEMS})"
# Of which Prometheus gets no page: of all, where the exporter does not answer. There is nothing else to tell of them.
NO_PAGE = 'up{F, job=~"minefleet-(miners|fleet)"} == 0'
UNKNOWN = (
    f'label_replace(count_values("pages", count({NO_PAGE})), "what",'
    ' "no page from the exporter ($1 missing): nothing is known of those miners", "pages", "(.+)")'
)
# One row where miners are known and none of them has a problem. A panel that finds nothing, or cannot even ask, says
# the same words for both: they must not be that all is well.
WELL = f"(count(vnish_up{{F}}) * 0 unless on () ({PROBLEMS} or {NO_PAGE}))"
SEVERITY = f"floor(max by (job, instance) ({PROBLEMS})) or on (job, instance) vnish_up{{F}} * 0"
HASHING = "instance:vnish_hashing:bool{F}"
# The rule looks back to its last evaluation: who has gone since then would be counted twice.
HASHING_NOW = f"{HASHING} and on (job, instance) vnish_up{{F}} == 1"
# None where none does, and nothing where that is not known.
NONE = "count(vnish_up{F}) * 0"
HASHING_MINERS = f"sum({HASHING_NOW}) or {NONE}"
# A whole site's alert holds back those of its miners, and names none. A note alarms nobody.
ALERTS = (
    'instance:minefleet_alert_active:bool{F, severity!="info"}'
    ' or instance:minefleet_alert_active:bool{job="", instance="", site=~"$site", rack=~"$rack", severity!="info"}'
)
PER_ALGORITHM = (
    " * on (job, instance) group_left (algorithm) max by (job, instance, algorithm) (vnish_miner_info{F})"
)
# 2 above the miner's own critical threshold, 1 above its warning.
HEAT = (
    "(vnish_chip_temperature_max_celsius{F}"
    " >= bool on (job, instance) group_left () minefleet_threshold_temperature_critical_celsius{F})"
    " + on (job, instance) (vnish_chip_temperature_max_celsius{F}"
    " >= bool on (job, instance) group_left () minefleet_threshold_temperature_warning_celsius{F})"
)
HEATS = {0: ("ok", OK), 1: ("hot", WARN), 2: ("critical", BAD)}
# Of what the miners should do; those of old firmware name no nominal rate and count with their own last one.
OF_EXPECTED = (
    "(sum(vnish_hashrate_hashes_per_second{F}"
    " and on (job, instance) instance:vnish_expected_hashrate_hashes_per_second:last{F})"
    f" or {NONE})"
    " / sum(instance:vnish_expected_hashrate_hashes_per_second:last{F})"
)


def dashboard() -> Any:
    """The dashboard's builder."""
    return board_of(
        UID,
        "Mining: fleet",
        "Who needs me now, and why; what the fleet earns; where in the room.",
        [*_now(), *_all(), *_compared()],
        filters(),
        annotations=annotations(all_shown=False),
    )


def _now() -> list[Any]:
    return [
        list_of(
            "Who needs me now, and why",
            "Each miner in trouble with the worst that is wrong with it: the most severe first, and of the"
            " equally severe the one that loses most. It leads to all about the miner.",
            (0, 0, 12, 23),
            {
                # Before all others, of whom more is known.
                "Severity": severity(
                    f"floor({WORST}) or {WELL} or count({NO_PAGE}) * 0 + 4", SEVERITIES | {4: SEVERITIES[3]}
                ),
                "instance": unseen(),
                # On a phone a column of names is wider than the names, or cuts them.
                "What": Column(
                    f'label_join({WORST}, "what", ": ", "instance", "problem")'
                    f' or label_replace({WELL}, "what", "no miner has a problem", "", "")'
                    f" or {UNKNOWN}",
                    also=("what",),
                    hidden=True,
                ),
                "what": words("What is wrong", about=True),
                "Losing": Column(
                    f"{LOST} and on (job, instance) {PROBLEMS}",
                    [*shown_as(USD, 2), *coloured((None, PLAIN), (1, WARN))],
                    title="Lost a day",
                    width=72,
                ),
            },
            sort=(("Severity", True), ("Lost a day", True)),
            none="Nothing is known of any miner",
        ),
        figures(
            "Is it hashing?",
            "Miners that hash, of all that are configured or asked for; those that do not answer or do not"
            " hash; and all hashes now against what the miners' presets should give.",
            (12, 0, 12, 3),
            Figure("hashing", HASHING_MINERS, COUNT, decimals=0),
            Figure(
                "not hashing",
                f"count(vnish_up{{F}}) - ({HASHING_MINERS})",
                COUNT,
                decimals=0,
                colours=((None, OK), (1, BAD)),
            ),
            Figure("of expected", OF_EXPECTED, SHARE, decimals=1),
            Figure(
                "",
                "sum by (algorithm) (vnish_hashrate_hashes_per_second{F}" + PER_ALGORITHM + ")",
                HASHRATE,
                decimals=1,
                legend="{{algorithm}}",
            ),
        ),
        figures(
            "What does it earn?",
            "Profit of the last 24 hours, electricity paid, as far as prices were known; what the fleet earns"
            " a day at the price and hashrate of now, after electricity; and what it fails to earn.",
            (12, 3, 12, 3),
            Figure(
                "profit, 24 h",
                f"sum(sum_over_time(({REVENUE} - on (job, instance) group_left () {ELECTRICITY})[1d:5m])) / 288",
                USD,
                decimals=2,
                colours=((None, BAD), (0, PLAIN)),
            ),
            Figure(
                "profit a day",
                f"sum({REVENUE}) - sum({ELECTRICITY})",
                USD,
                decimals=2,
                colours=((None, BAD), (0, PLAIN)),
            ),
            Figure("losing a day", f"sum({LOST})", USD, decimals=2, colours=((None, PLAIN), (1, WARN))),
            Figure(
                "alerts",
                f"count({ALERTS}) or vector(0)",
                COUNT,
                decimals=0,
                colours=((None, OK), (1, WARN)),
            ),
        ),
        room_map(
            "Where in the room?",
            "The worst that is wrong in each rack of each site.",
            (12, 6, 12, 5),
            f"floor(max by (site, rack) ({PROBLEMS} or on (job, instance) vnish_up{{F}} * 0))",
            SEVERITIES,
        ),
        graph(
            "Does it hash what it should?",
            "Hashes of each algorithm, against what the presets of the miners should give; a miner without a"
            " preset counts with its own last rate, also while it is down.",
            (12, 11, 12, 6),
            HASHRATE,
            *lines(
                (
                    "{{algorithm}}",
                    "sum by (algorithm) (vnish_hashrate_hashes_per_second{F}" + PER_ALGORITHM + ")",
                ),
                (
                    "{{algorithm}}, expected",
                    "sum by (algorithm) (instance:vnish_expected_hashrate_hashes_per_second:last{F})",
                ),
            ),
            limits=("scrypt, expected", "sha256d, expected"),
            none="No miner told its hashrate in the time shown",
        ),
        graph(
            "What does it draw, and how well does it use it?",
            "Power of all, measured or modelled by the firmware; on the right the energy for a thousand million"
            " hashes.",
            (12, 17, 12, 6),
            WATTS,
            *lines(
                ("power", f"sum({POWER})"),
                (
                    "J/GH {{algorithm}}",
                    f"sum by (algorithm) (({POWER} and on (job, instance) vnish_hashrate_hashes_per_second{{F}} > 0){PER_ALGORITHM})"
                    " / sum by (algorithm) ((vnish_hashrate_hashes_per_second{F} > 0 and on (job, instance)"
                    f" {POWER}){PER_ALGORITHM}) * 1e9",
                ),
            ),
            none="No miner told its power in the time shown",
        ).override_by_query(
            "B",
            [*shown_as(EFFICIENCY, 1), *on_the_right()],
        ),
    ]


def _all() -> list[Any]:
    return [
        list_of(
            "All miners",
            "One row for each miner, the most severe trouble first, and of the equally severe the one that"
            " loses most.",
            (0, 23, 24, 17),
            {
                "Severity": severity(SEVERITY, SEVERITIES),
                "instance": miner(width=150),
                "What": Column(WORST, also=("problem",), hidden=True),
                "problem": label("What is wrong", 205),
                "Losing": Column(
                    LOST,
                    [*shown_as(USD, 2), *coloured((None, PLAIN), (1, WARN))],
                    title="Lost a day",
                    width=105,
                ),
                "Earning": Column(REVENUE, shown_as(USD, 2), title="Earning a day", width=110),
                "Profit": Column(
                    f"{REVENUE} - on (job, instance) group_left () {ELECTRICITY}",
                    [*shown_as(USD, 2), *coloured((None, BAD), (0, PLAIN))],
                    title="Profit a day",
                    width=100,
                ),
                "Hashrate": Column("vnish_hashrate_hashes_per_second{F}", shown_as(HASHRATE, 2), width=105),
                "Of nominal": Column(
                    "instance:vnish_hashrate_per_nominal:ratio{F}", shown_as(SHARE, 0), width=95
                ),
                "Hottest chip": Column(
                    "vnish_chip_temperature_max_celsius{F}", shown_as(CELSIUS, 0), width=100
                ),
                "Heat": Column(HEAT, mapped(HEATS), width=80),
                "Power": Column(POWER, shown_as(WATTS, 2), width=90),
                "Efficiency": Column(
                    "instance:vnish_power_joules_per_hash:ratio{F} * 1e9",
                    shown_as(EFFICIENCY, 0),
                    width=100,
                ),
                "Model": Column("vnish_miner_info{F}", also=("model",), hidden=True),
                "model": label("Model"),
            },
            sort=(("Severity", True), ("Lost a day", True)),
            none="Nothing is known of any miner",
            pages=True,
        ),
    ]


def _compared() -> list[Any]:
    here = ("All about this miner", f"/d/{MINER}?{KEPT}&var-miner=${{__field.labels.instance}}")
    return [
        graph(
            "How many hash?",
            "Miners by what they do: hash, answer without hashing, or do not answer.",
            (0, 40, 12, 8),
            COUNT,
            *lines(
                ("hashing", HASHING_MINERS),
                (
                    "not hashing",
                    f"(count(vnish_up{{F}} == 1) or {NONE}) - ({HASHING_MINERS})",
                ),
                ("down", f"count(vnish_up{{F}} == 0) or {NONE}"),
            ),
            stacked=True,
            decimals=0,
            colours={"hashing": OK, "not hashing": WARN, "down": BAD},
        ),
        graph(
            "What did it earn?",
            "Revenue, electricity and losses, each in dollars a day at the time's price.",
            (12, 40, 12, 8),
            USD,
            *lines(
                ("revenue", f"sum({REVENUE})"),
                ("electricity", f"sum({ELECTRICITY})"),
                ("lost", f"sum({LOST})"),
            ),
            decimals=2,
            colours={"revenue": OK, "electricity": WARN, "lost": BAD},
        ),
        bars(
            "Who runs hot against the room?",
            "The ten miners whose hottest chip is furthest above the mean of its site. The room's own warmth"
            " is taken out: what is left is the miner's fans, dust or place.",
            (0, 48, 8, 10),
            CELSIUS,
            "topk(10, instance:vnish_chip_temperature_above_site:celsius{F} >= 0.5)",
            "{{instance}}",
            none="nobody is known to",
            decimals=0,
            link=here,
        ),
        bars(
            "Who is nearest to its critical temperature?",
            "Degrees left between the hottest chip and the miner's own configured critical temperature; the"
            " ten with least.",
            (8, 48, 8, 10),
            CELSIUS,
            "bottomk(10, minefleet_threshold_temperature_critical_celsius{F}"
            " - on (job, instance) vnish_chip_temperature_max_celsius{F})",
            "{{instance}}",
            colours=((None, BAD), (0, OK)),
            none="no temperature is known",
            decimals=0,
            link=here,
        ),
        bars(
            "Who gives least of its preset?",
            "Hashrate against what the miner's preset should give; the ten with least.",
            (16, 48, 8, 10),
            SHARE,
            "bottomk(10, instance:vnish_hashrate_per_nominal:ratio{F})",
            "{{instance}}",
            none="no preset is known",
            decimals=0,
            link=here,
        ),
    ]
