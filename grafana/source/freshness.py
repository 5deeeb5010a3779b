"""The exporter and its host: is what the other dashboards show fresh, and if not, why."""

from __future__ import annotations

from typing import Any

from vocabulary import (
    AGE,
    BAD,
    BYTES,
    COUNT,
    EXPORTER,
    MINER,
    OK,
    PLAIN,
    POOL,
    SECONDS,
    SHARE,
    Column,
    Figure,
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
    shown_as,
)

UID = EXPORTER

E = 'job=~"$exporter_job", instance=~"$exporter"'
TARGETS = 'job=~"minefleet-.*"'


def _dropped() -> str:
    """What was dropped in an hour, with whose it is, which figure, and in words why."""
    words = {
        "implausible": (
            "metric",
            {
                "miner": "cannot be true: a dead sensor, or another algorithm than the configuration says",
                "account": "cannot be true: the pool errs, or counts in another unit than before",
            },
        ),
        "unexpected": (
            "field",
            {
                "miner": "of no known kind: firmware that is newer than this exporter, or that fails",
                "account": "of no known kind: the pool has changed its answers; a newer exporter may know them",
            },
        ),
    }
    made = []
    for kind, (label_of_it, reasons) in words.items():
        for whose, series in (("miner", "vnish"), ("account", "mining_pool")):
            added = f"increase({series}_{kind}_values_total{{{TARGETS}}}[1h]) > 0"
            for name, of in ((whose, "instance"), ("figure", label_of_it)):
                added = f'label_replace({added}, "{name}", "$1", "{of}", "(.+)")'
            made.append(f'label_replace({added}, "why", "{reasons[whose]}", "", "")')
    return " or ".join(made)


def dashboard() -> Any:
    """The dashboard's builder."""
    return board_of(
        UID,
        "Mining: exporter",
        "Is what the other dashboards show fresh, and if not, why.",
        [*_now(), *_probes(), *_process(), *_host()],
        [
            datasource(),
            choice(
                "exporter_job", "Exporter's job", "label_values(minefleet_build_info, job)", only_these=True
            ),
            choice(
                "exporter",
                "Exporter",
                'label_values(minefleet_build_info{job=~"$exporter_job"}, instance)',
                only_these=True,
            ),
        ],
    )


def _now() -> list[Any]:
    return [
        figures(
            "Is it well?",
            "Whether Prometheus reaches it, whether its configuration file could be used when it was last read,"
            " and how many targets it gives pages of.",
            (0, 0, 14, 4),
            Figure(
                "exporter",
                f"min(up{{{E}}})",
                COUNT,
                words={0: ("no answer", BAD), 1: ("answers", OK)},
            ),
            Figure(
                "configuration",
                f"min(minefleet_config_last_reload_successful{{{E}}})",
                COUNT,
                words={0: ("refused", BAD), 1: ("taken over", OK)},
            ),
            Figure("miners", f"sum(minefleet_miners{{{E}}})", COUNT, decimals=0),
            Figure("pools", f"sum(minefleet_pools{{{E}}})", COUNT, decimals=0),
            Figure(
                "version",
                f"minefleet_build_info{{{E}}}",
                COUNT,
                legend="version {{version}}",
                words={1: ("running", PLAIN)},
            ),
            none="no answer",
        ),
        list_of(
            "Of whom is nothing known?",
            "Targets Prometheus gets no page of: not one of a miner that is down, but none at all.",
            (14, 0, 10, 8),
            {
                "job": label("Job"),
                "instance": label("Target"),
                "Up": Column(f"up{{{TARGETS}}} == 0", mapped({0: ("no page", BAD)}), title="State", width=90),
            },
            sort=(("Target", False),),
            none="Prometheus gets a page of every target",
        ),
        figures(
            "How fresh is it?",
            "The oldest page of any target that gives one; and how long ago the configuration in use was read.",
            (0, 4, 14, 4),
            Figure("oldest page, ago", f"max(time() - timestamp(up{{{TARGETS}}} == 1))", AGE, decimals=0),
            Figure(
                "configuration read, ago",
                f"time() - max(minefleet_config_last_reload_success_timestamp_seconds{{{E}}})",
                AGE,
                decimals=0,
            ),
            Figure("running for", f"time() - min(process_start_time_seconds{{{E}}})", AGE, decimals=0),
        ),
    ]


def _probes() -> list[Any]:
    return [
        row("What it asks", 8),
        graph(
            "How often does it ask?",
            "Probes a second it answers, of miners (vnish) and of pools.",
            (0, 9, 8, 8),
            "reqps",
            query(f"sum by (module) (rate(minefleet_probes_total{{{E}}}[$__rate_interval]))", "{{module}}"),
        ),
        graph(
            "How long do they take?",
            "Time from request to page: half of the probes are faster than the median, one in twenty slower than"
            " the 95th percentile.",
            (8, 9, 8, 8),
            SECONDS,
            *lines(
                *(
                    (
                        f"{word}, {{{{module}}}}",
                        f"histogram_quantile({rank}, sum by (le, module)"
                        f" (rate(minefleet_probe_duration_seconds_bucket{{{E}}}[$__rate_interval])))",
                    )
                    for word, rank in (("median", 0.5), ("95th percentile", 0.95))
                )
            ),
        ),
        graph(
            "Why do they fail?",
            "Probes a minute that found their target down, by reason.",
            (16, 9, 8, 8),
            COUNT,
            query(
                f"sum by (module, reason) (increase(minefleet_probe_failures_total{{{E}}}[5m])) / 5 > 0",
                "{{module}}: {{reason}}",
            ),
            none="none failed",
        ),
        graph(
            "Whom does it spare?",
            "Circuit breakers that are not closed: targets that failed too often are asked rarely for a while.",
            (0, 17, 12, 8),
            COUNT,
            query(
                f'sum by (module, state) (minefleet_breakers{{{E}, state!="closed"}}) > 0',
                "{{module}}: {{state}}",
            ),
            none="it spares nobody",
            # One that is asked again is half open for a moment: it is of as many all the same.
            stacked=True,
            decimals=0,
        ),
        list_of(
            "May it still ask the pools?",
            "Requests of this hour's budget that are left, of each account.",
            (12, 17, 12, 8),
            {
                "instance": label("Account"),
                "Left": Column(
                    f"mining_pool_request_budget_remaining{{{TARGETS}}}",
                    [*shown_as(COUNT, 0), *coloured((None, BAD), (1, PLAIN))],
                ),
                "Of": Column(
                    f"mining_pool_request_budget_limit{{{TARGETS}}}", shown_as(COUNT, 0), title="Of, an hour"
                ),
                "Used": Column(
                    f"1 - mining_pool_request_budget_remaining{{{TARGETS}}} / mining_pool_request_budget_limit{{{TARGETS}}}",
                    shown_as(SHARE, 0),
                ),
            },
            sort=(("Used", True),),
            none="No pool is known to have a budget",
        ),
        list_of(
            "Who sends what cannot be true?",
            "Figures dropped in the last hour, by the series each was meant for, because they cannot be true; and"
            " parts of answers that are not of the kind they always were. The name leads to what is known of it.",
            (0, 25, 24, 8),
            {
                "miner": linking("Miner", MINER, "miner", 180),
                "account": linking("Pool account", POOL, "account", 140),
                "figure": label("Figure", 330),
                "Dropped": Column(
                    _dropped(), shown_as(COUNT, 0), title="Dropped in an hour", width=110, also=("why",)
                ),
                "why": label("Why, and what to do"),
            },
            by=("job", "miner", "account", "figure"),
            sort=(("Dropped in an hour", True),),
            none="Nothing was dropped",
            pages=True,
        ),
    ]


def _process() -> list[Any]:
    return [
        row("Its process", 33),
        graph(
            "Does its memory grow?",
            "Memory the process holds.",
            (0, 34, 8, 7),
            BYTES,
            query(f"process_resident_memory_bytes{{{E}}}", "{{instance}}"),
        ),
        graph(
            "Is it short of processor?",
            "Share of one processor it uses; it can use no more than one.",
            (8, 34, 8, 7),
            SHARE,
            query(f"rate(process_cpu_seconds_total{{{E}}}[$__rate_interval])", "{{instance}}"),
        ),
        graph(
            "Does it hang?",
            "Probes being answered now and open files: both rise and stay up when it does.",
            (16, 34, 8, 7),
            COUNT,
            *lines(
                ("probes in flight", f"sum(minefleet_probes_in_flight{{{E}}})"),
                ("open files", f"sum(process_open_fds{{{E}}})"),
            ),
            decimals=0,
        ),
    ]


def _host() -> list[Any]:
    node = 'job="node"'
    return [
        row("The machine, where node-exporter tells of it", 41),
        graph(
            "Is the machine busy?",
            "Share of its processors that work.",
            (0, 42, 8, 7),
            SHARE,
            query(
                f'1 - avg by (instance) (rate(node_cpu_seconds_total{{{node}, mode="idle"}}[$__rate_interval]))',
                "{{instance}}",
            ),
            none="no node-exporter",
        ),
        graph(
            "Is its memory full?",
            "Share of its memory in use.",
            (8, 42, 8, 7),
            SHARE,
            query(
                f"1 - node_memory_MemAvailable_bytes{{{node}}} / node_memory_MemTotal_bytes{{{node}}}",
                "{{instance}}",
            ),
            maximum=1,
            none="no node-exporter",
        ),
        graph(
            "Are its disks full?",
            "Share in use of each file system that is kept on a disk.",
            (16, 42, 8, 7),
            SHARE,
            query(
                f'1 - node_filesystem_avail_bytes{{{node}, fstype!~"tmpfs|ramfs|overlay|squashfs"}}'
                f' / node_filesystem_size_bytes{{{node}, fstype!~"tmpfs|ramfs|overlay|squashfs"}}',
                "{{mountpoint}}",
            ),
            maximum=1,
            none="no node-exporter",
        ),
    ]
