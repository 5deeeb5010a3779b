"""The fleet at breakfast: what am I earning, who is losing me money, and why."""

from __future__ import annotations

from typing import Any

from vocabulary import (
    AGE,
    BAD,
    CELSIUS,
    COUNT,
    EFFICIENCY,
    HASHRATE,
    OK,
    SHARE,
    USD,
    WARN,
    WATTS,
    builders,
    coloured,
    figure,
    gauge_cell,
    graph,
    linked,
    list_of,
    mapped,
    models,
    query,
    shown_as,
    steps,
    timeline,
    variables,
)

UID = "minefleet-fleet"

STATES = {0: ("down", BAD), 1: ("not mining", WARN), 2: ("mining", OK)}
STATE = (
    "vnish_up{F} + on (job, instance) (instance:vnish_hashing:bool{F} or on (job, instance) vnish_up{F} * 0)"
)
# Only the alerts about miners: those of the exporter have no miner to stand beside.
ALERTS = 'count by (job, instance) (ALERTS{F, alertstate="firing", alertname=~"Minefleet.*"})'
LOST = "instance:minefleet_lost_revenue_usd_per_day:estimate{F}"
PER_ALGORITHM = (
    " * on (job, instance) group_left (algorithm) max by (job, instance, algorithm) (vnish_miner_info{F})"
)


def dashboard() -> Any:
    """The dashboard's builder."""
    made = (
        builders.Dashboard("Mining fleet")
        .uid(UID)
        .description("What the fleet earns, who is losing money, and why.")
        .tags(["minefleet"])
        .readonly()
        .time("now-6h", "now")
        .refresh("1m")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .variables(variables("vnish_up"))
        .link(
            builders.DashboardLink("Dashboards")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags(["minefleet"])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
    )
    for panel in (*_money(), *_who(), *_over_time()):
        made = made.with_panel(panel)
    made = made.with_row(builders.Row("Boards and fans"))
    for panel in _hardware():
        made = made.with_panel(panel)
    made = made.with_row(builders.Row("Pool"))
    for panel in _pool():
        made = made.with_panel(panel)
    return made


def _money() -> list[Any]:
    return [
        figure(
            "Earning a day",
            "The pool's price per hash now times the hashrate now, per day. Unknown without fresh figures.",
            "sum(instance:minefleet_revenue_usd_per_day:estimate{F})",
            USD,
            decimals=2,
        ),
        figure(
            "Losing a day",
            "What miners that are down, weak or stopped do not earn, against their nominal rate.",
            f"sum({LOST})",
            USD,
            decimals=2,
            thresholds=steps((None, OK), (1, WARN), (20, BAD)),
        ),
        figure(
            "Electricity a day",
            "Power times the configured price. Unknown without economics.electricity_usd_per_kwh.",
            "sum(instance:minefleet_electricity_usd_per_day:estimate{F})",
            USD,
            decimals=2,
        ),
        figure(
            "Margin a day",
            "Earning less electricity.",
            "sum(instance:minefleet_revenue_usd_per_day:estimate{F})"
            " - sum(instance:minefleet_electricity_usd_per_day:estimate{F})",
            USD,
            decimals=2,
            thresholds=steps((None, BAD), (0, OK)),
        ),
        figure(
            "Miners down",
            "Miners that do not answer.",
            "count(vnish_up{F} == 0) or count(vnish_up{F}) * 0",
            COUNT,
            thresholds=steps((None, OK), (1, BAD)),
        ),
        figure(
            "Not mining",
            "Miners that answer but neither mine nor tune themselves.",
            "count(instance:vnish_hashing:bool{F} == 0) or count(instance:vnish_hashing:bool{F}) * 0",
            COUNT,
            thresholds=steps((None, OK), (1, WARN)),
        ),
        figure(
            "Hashrate",
            "Sum of the real-time hashrates, for each algorithm.",
            "sum by (algorithm) (vnish_hashrate_hashes_per_second{F}" + PER_ALGORITHM + ")",
            HASHRATE,
            legend="{{algorithm}}",
            width=6,
        ),
        figure(
            "Power",
            "Sum of the miners' power, measured or modelled by their firmware.",
            "sum(instance:vnish_power_watts:known{F})",
            WATTS,
            width=6,
        ),
        figure(
            "Efficiency",
            "Energy for a thousand million hashes, for each algorithm; miners of which both are known.",
            "sum by (algorithm) ((instance:vnish_power_watts:known{F} and on (job, instance)"
            " vnish_hashrate_hashes_per_second{F} > 0)" + PER_ALGORITHM + ")"
            " / sum by (algorithm) ((vnish_hashrate_hashes_per_second{F} > 0 and on (job, instance)"
            " instance:vnish_power_watts:known{F})" + PER_ALGORITHM + ") * 1e9",
            EFFICIENCY,
            legend="{{algorithm}}",
            width=6,
            decimals=1,
        ),
        figure(
            "Hottest chip",
            "The hottest chip of any miner.",
            "max(vnish_chip_temperature_max_celsius{F})",
            CELSIUS,
            width=6,
            thresholds=steps((None, OK), (80, WARN), (90, BAD)),
        ),
    ]


def _who() -> list[Any]:
    columns = {
        "State": STATE,
        "Losing a day": LOST,
        "Alerts": ALERTS,
        "Model": "vnish_miner_info{F}",
        "Hashrate": "vnish_hashrate_hashes_per_second{F}",
        "Of nominal": "instance:vnish_hashrate_per_nominal:ratio{F}",
        "Hottest chip": "vnish_chip_temperature_max_celsius{F}",
        "Power": "instance:vnish_power_watts:known{F}",
        "Efficiency": "(instance:vnish_power_watts:known{F} / on (job, instance) group_left ()"
        " (vnish_hashrate_hashes_per_second{F} > 0)) * 1e9",
        "Earning a day": "instance:minefleet_revenue_usd_per_day:estimate{F}",
    }
    order = [
        "State",
        "instance",
        "Losing a day",
        "Alerts",
        "Earning a day",
        "Hashrate",
        "Of nominal",
        "Hottest chip",
        "Power",
        "Efficiency",
        "model",
        "firmware_version",
    ]
    here = f"/d/{UID}?${{datasource:queryparam}}&var-instance=${{__value.text}}&${{__url_time_range}}"
    return [
        list_of(
            "Who is losing me money",
            "One row for each miner, the most expensive trouble first. A name narrows this page to it.",
            columns,
            order,
            sort="Losing a day",
            also={"Model": ("model", "firmware_version")},
            overrides={
                "State": mapped(STATES),
                "instance": linked("Only this miner", here),
                "Losing a day": [*shown_as(USD, 2), *coloured((None, "text"), (0.5, WARN), (3, BAD))],
                "Alerts": [*shown_as(COUNT, 0), *coloured((None, "text"), (1, BAD))],
                "Earning a day": shown_as(USD, 2),
                "Hashrate": shown_as(HASHRATE, 2),
                "Of nominal": [
                    *shown_as(SHARE, 0),
                    *gauge_cell(0, 1.1, (None, BAD), (0.8, WARN), (0.95, OK)),
                ],
                "Hottest chip": [*shown_as(CELSIUS, 0), *coloured((None, OK), (80, WARN), (90, BAD))],
                "Power": shown_as(WATTS, 2),
                "Efficiency": shown_as(EFFICIENCY, 1),
                "model": [models.DynamicConfigValue("displayName", "Model")],
                "firmware_version": [models.DynamicConfigValue("displayName", "Firmware")],
            },
        ),
        timeline(
            "States",
            "When each miner was mining, answered without mining, or was down.",
            STATES,
            query(STATE, "{{instance}}"),
        ),
    ]


def _over_time() -> list[Any]:
    return [
        graph(
            "Hashrate",
            "Real-time hashrate of each algorithm, and what the miners' presets should give.",
            HASHRATE,
            query(
                "sum by (algorithm) (vnish_hashrate_hashes_per_second{F}" + PER_ALGORITHM + ")",
                "{{algorithm}}",
            ),
            query(
                "sum by (algorithm) (vnish_hashrate_nominal_hashes_per_second{F}" + PER_ALGORITHM + ")",
                "{{algorithm}}, nominal",
                "B",
            ),
        ),
        graph(
            "Money a day",
            "What the fleet earns, what it loses, and what its electricity costs, all per day.",
            USD,
            query("sum(instance:minefleet_revenue_usd_per_day:estimate{F})", "earning"),
            query(f"sum({LOST})", "losing", "B"),
            query("sum(instance:minefleet_electricity_usd_per_day:estimate{F})", "electricity", "C"),
            decimals=2,
        ),
        graph(
            "Hottest chips",
            "The ten miners with the hottest chips.",
            CELSIUS,
            query("topk(10, vnish_chip_temperature_max_celsius{F})", "{{instance}}"),
            minimum=None,
        ),
        graph(
            "Weakest miners",
            "The ten miners that are furthest below their nominal hashrate.",
            SHARE,
            query("bottomk(10, instance:vnish_hashrate_per_nominal:ratio{F})", "{{instance}}"),
        ),
    ]


def _hardware() -> list[Any]:
    return [
        list_of(
            "Boards in trouble",
            "Boards that have failed or have bad chips; empty when all is well.",
            {
                "Failed": 'vnish_board_state{F, state=~"failure|disconnected"} == 1',
                "Bad chips": 'vnish_board_chips{F, grade="red"} > 0 and on (job, instance)'
                " instance:vnish_hashing:bool{F} == 1",
                "Weak chips": 'vnish_board_chips{F, grade="orange"} > 0',
            },
            ["instance", "board", "Failed", "Bad chips", "Weak chips"],
            sort="Bad chips",
            width=12,
            height=8,
            by=("job", "instance", "board"),
            none="All boards are well",
            overrides={
                "board": [models.DynamicConfigValue("displayName", "Board")],
                "Failed": mapped({1: ("failed", BAD)}),
                "Bad chips": [*shown_as(COUNT, 0), *coloured((None, "text"), (1, BAD))],
                "Weak chips": [*shown_as(COUNT, 0), *coloured((None, "text"), (1, WARN))],
            },
        ),
        graph(
            "Fans lost",
            "Fans that do not turn, by miner; immersed miners have none.",
            COUNT,
            query(
                "count by (instance) (vnish_fan_ok{F} == 0 unless on (job, instance)"
                ' vnish_cooling_mode{mode="immersion"} == 1) or on () vector(0)',
                "{{instance}}",
            ),
            height=8,
            decimals=0,
        ),
        graph(
            "Rejected and stale shares",
            "Bad shares for each good one, at the owner's pools; the worst ten miners.",
            SHARE,
            query(
                "topk(10, ("
                'sum by (instance) (rate(vnish_pool_shares_rejected_total{F, type!="DevFee"}[$__rate_interval]))'
                ' + sum by (instance) (rate(vnish_pool_shares_stale_total{F, type!="DevFee"}[$__rate_interval]))'
                ") / ("
                'sum by (instance) (rate(vnish_pool_shares_accepted_total{F, type!="DevFee"}[$__rate_interval]))'
                " > 0))",
                "{{instance}}",
            ),
        ),
        graph(
            "Power",
            "Power of each site, measured or modelled by the firmware.",
            WATTS,
            query("sum by (site) (instance:vnish_power_watts:known{F})", "power {{site}}"),
        ),
    ]


def _pool() -> list[Any]:
    return [
        figure(
            "Pool",
            "Whether the pool's interface gave data at the last look.",
            "min(mining_pool_up)",
            COUNT,
            trend=False,
            none="no pool",
            thresholds=steps((None, BAD), (1, OK)),
        ).mappings(
            [
                models.ValueMap(
                    options={
                        "0": models.ValueMappingResult(text="no data", color=BAD, index=0),
                        "1": models.ValueMappingResult(text="ok", color=OK, index=1),
                    }
                )
            ]
        ),
        figure(
            "Age of the figures",
            "How old the pool's newest figures are, by its own date.",
            'max(time() - mining_pool_data_timestamp_seconds{kind="profitability"})',
            AGE,
            trend=False,
            none="no figures",
            thresholds=steps((None, OK), (300, WARN), (600, BAD)),
        ),
        figure(
            "Requests left",
            "Requests of this hour's budget that are left.",
            "min(mining_pool_request_budget_remaining)",
            COUNT,
            thresholds=steps((None, BAD), (100, WARN), (1000, OK)),
        ),
        graph(
            "Earning of a GH/s a day, scrypt",
            "What a thousand million scrypt hashes per second earn in a day.",
            USD,
            query('max(instance:mining_pool_usd_per_hash:sum{algorithm="scrypt"}) * 1e9 * 86400', "now"),
            query(
                'max(mining_pool_profitability_percentile_usd_per_hash{algorithm="scrypt"}) * 1e9 * 86400',
                "percentile of the pool",
                "B",
            ),
            height=8,
            decimals=3,
        ),
    ]
