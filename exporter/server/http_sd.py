"""Prometheus HTTP service discovery: one group a target, complete enough to need no relabelling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exporter.config.schema import Config
from exporter.fleet import Target
from exporter.market.market import Market


def groups(
    targets: Sequence[Target | Market], config: Config, own_address: str, scheme: str
) -> list[dict[str, Any]]:
    """The discovery answer for *targets*, which are all scraped at *own_address* as it was asked."""
    interval = milliseconds(config.fleet.poll_interval_seconds)
    timeout = milliseconds(config.scrape_timeout_seconds)
    return [
        {
            "targets": [own_address],
            "labels": {
                "__scheme__": scheme,
                "__metrics_path__": "/probe",
                "__param_target": target.instance,
                "__param_module": target.module,
                "__scrape_interval__": interval,
                "__scrape_timeout__": timeout,
                "instance": target.instance,
                **target.labels,
            },
        }
        for target in targets
    ]


def milliseconds(seconds: float) -> str:
    """A duration as Prometheus writes it, to the millisecond."""
    return f"{round(seconds * 1000)}ms"
