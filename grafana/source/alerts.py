"""Alerts: what fires now, what fired, which rule makes most noise, and whether messages arrive."""

from __future__ import annotations

from typing import Any

from vocabulary import (
    AGE,
    ALERTS,
    BAD,
    COUNT,
    MINER,
    OFF,
    OK,
    PLAIN,
    SECONDS,
    WARN,
    Column,
    Figure,
    bars,
    board_of,
    choice,
    coloured,
    datasource,
    figures,
    graph,
    label,
    lines,
    linking,
    list_of,
    mapped,
    query,
    row,
    severity,
    shown_as,
    timeline,
)

UID = ALERTS

# Alerts of the exporter and of pools have no site, and those of a missing exporter no instance either.
# The watchdog always fires, that its silence may be noticed.
OURS = 'alertname=~"Minefleet.+", alertname!="MinefleetWatchdog", severity=~"$severity"'
FIRING = f'ALERTS{{{OURS}, alertstate="firing"}}'
ACTIVE = 'instance:minefleet_alert_active:bool{severity=~"$severity"}'
# 2 for a critical one, 1 for a warning, 0 for what is only noted.
SEVERE = (
    " or ".join(
        f'ALERTS{{severity="{word}", {OURS}, alertstate="firing"}} * {value}'
        for value, word in ((2, "critical"), (1, "warning"))
    )
    + f" or {FIRING} * 0"
)
GROUPS = 'rule_group=~".*minefleet.*"'
BY = ("alertname", "severity", "job", "instance", "board", "fan")
# Only a miner's name leads to a miner.
WHOSE = (
    f'label_replace(label_replace(label_replace(label_join({FIRING}, "miner", " ", "alertname", "instance"),'
    ' "miner", "$1", "miner", "(?:MinefleetMiner[^ ]+ (.+)|.*)"),'
    ' "of", "$1", "instance", "(.+)"),'
    ' "of", "", "alertname", "MinefleetMiner.+")'
)
SEVERITY = {0: ("note", OFF), 1: ("warning", WARN), 2: ("critical", BAD)}


def told(severity: str) -> str:
    """The alerts of one severity that somebody is told of."""
    return f'{ACTIVE[:-1]}, severity="{severity}"}}'


def dashboard() -> Any:
    """The dashboard's builder."""
    return board_of(
        UID,
        "Mining: alerts",
        "What fires now, what fired, which rule makes most noise, and whether messages arrive.",
        [*_now(), *_history(), *_delivery()],
        [
            datasource(),
            choice("severity", "Severity", 'label_values(ALERTS{alertname=~"Minefleet.+"}, severity)'),
        ],
        since="now-24h",
    )


def _now() -> list[Any]:
    return [
        list_of(
            "What fires now?",
            "Every alert of now, those that somebody was told of first, and the critical ones before others. Held"
            " back are those that another alert explains.",
            (0, 0, 16, 12),
            {
                "Severity": severity(SEVERE, SEVERITY),
                "alertname": label("Alert"),
                "miner": linking("Miner", MINER, "miner"),
                "of": label("Of"),
                "Whose": Column(WHOSE, also=("miner", "of"), hidden=True),
                "board": label("Board", 65),
                "fan": label("Fan", 55),
                "Since": Column(
                    f"time() - ALERTS_FOR_STATE{{{OURS}}} and on ({', '.join(BY)}) {FIRING}",
                    shown_as(AGE, 0),
                    title="Wrong for",
                    width=130,
                ),
                "Told": Column(
                    f"{ACTIVE} or {FIRING} * 0",
                    mapped({0: ("held back", OFF), 1: ("told", OK)}),
                    width=95,
                ),
            },
            by=BY,
            # Of a site that is down hundreds are held back.
            sort=(("Told", True), ("Severity", True), ("Wrong for", False)),
            none="Nothing fires",
            pages=True,
        ),
        figures(
            "How many?",
            "Alerts that fire and somebody is told of, by severity; those that another alert explains, and those"
            " that will fire unless what is wrong passes.",
            (16, 0, 8, 5),
            *(
                Figure(word, f"count({told(level)}) or vector(0)", COUNT, decimals=0, colours=colours)
                for word, level, colours in (
                    ("critical", "critical", ((None, OK), (1, BAD))),
                    ("warnings", "warning", ((None, OK), (1, WARN))),
                    # Of something to look into on another day.
                    ("notes", "info", ()),
                )
            ),
            Figure(
                "held back",
                f"(count({FIRING}) or vector(0)) - (count({ACTIVE}) or vector(0))",
                COUNT,
                decimals=0,
            ),
            Figure(
                "pending",
                # Notes wait for days, and are no trouble to come.
                f'count(ALERTS{{{OURS}, alertstate="pending", severity!="info"}}) or vector(0)',
                COUNT,
                decimals=0,
            ),
        ),
        bars(
            "Which rule makes most noise?",
            "How often what each alert is about came in the last seven days, of all that fired.",
            (16, 5, 8, 20),
            COUNT,
            f"sort_desc(sum by (alertname) (changes(ALERTS_FOR_STATE{{{OURS}}}[7d]) + 1"
            f" and ignoring (alertstate) last_over_time({FIRING}[7d])))",
            "{{alertname}}",
            # Of a note the warnings' colour would say that something is wrong.
            colours=((None, OFF),),
            decimals=0,
            none="none fired",
        ),
    ]


def _history() -> list[Any]:
    # One row for each alert: of more than a dozen nobody can tell the colours apart.
    return [
        timeline(
            "When did they fire?",
            "The worst that fired at each moment, and each alert that fired in the time shown, at the moments it"
            " did, in the colour of its severity.",
            (0, 12, 16, 13),
            {-1: ("none", OK), **SEVERITY},
            # Without any series Grafana says that "data does not have a time field".
            query(f"max({SEVERE}) or max(up) * 0 - 1", "worst of all"),
            query(
                f'max by (alert) (label_replace({SEVERE}, "alert", "$1", "alertname", "Minefleet(.+)"))',
                "{{alert}}",
                "B",
            ),
            none="none fired",
        ),
    ]


def _delivery() -> list[Any]:
    return [
        row("Do messages arrive?", 25),
        list_of(
            "Were they sent?",
            "Messages of the last day by the way they go, and those that failed.",
            (0, 26, 8, 8),
            {
                "integration": label("By"),
                "Sent": Column(
                    "increase(alertmanager_notifications_total[1d])", shown_as(COUNT, 0), title="Sent in 24 h"
                ),
                "Failed": Column(
                    "sum by (integration) (increase(alertmanager_notifications_failed_total[1d]))",
                    [*shown_as(COUNT, 0), *coloured((None, PLAIN), (0.5, BAD))],
                    title="Failed in 24 h",
                ),
            },
            by=("integration",),
            where="(sum by (integration) (increase(alertmanager_notifications_total[1d])) > 0)",
            sort=(("Failed in 24 h", True),),
            none="No message was sent in a day",
        ),
        figures(
            "Does Prometheus reach Alertmanager?",
            "Alertmanagers it knows of, alerts it had to drop, and rules it could not evaluate, in the last hour.",
            (8, 26, 8, 8),
            Figure(
                "Alertmanagers",
                "sum(prometheus_notifications_alertmanagers_discovered)",
                COUNT,
                decimals=0,
                colours=((None, BAD), (1, OK)),
            ),
            Figure(
                "dropped",
                "sum(increase(prometheus_notifications_dropped_total[1h]))",
                COUNT,
                decimals=0,
                colours=((None, OK), (1, BAD)),
            ),
            Figure(
                "rules failed",
                "sum(increase(prometheus_rule_evaluation_failures_total[1h]))",
                COUNT,
                decimals=0,
                colours=((None, OK), (1, BAD)),
            ),
        ),
        graph(
            "Does the evaluation keep up?",
            "Time the slowest group of rules took when it was last evaluated, against the time between two"
            " evaluations: above it alerts come late.",
            (16, 26, 8, 8),
            SECONDS,
            *lines(
                ("slowest group", f"max(prometheus_rule_group_last_duration_seconds{{{GROUPS}}})"),
                ("time between two", f"min(prometheus_rule_group_interval_seconds{{{GROUPS}}})"),
            ),
            limits=("time between two",),
            colours={"slowest group": OK, "time between two": WARN},
        ),
    ]
