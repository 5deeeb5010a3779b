"""Prometheus HTTP service discovery: one group a target, complete enough to need no relabelling.

https://prometheus.io/docs/prometheus/latest/http_sd/
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from exporter.config.schema import Config
from exporter.fleet import Target
from exporter.market.market import Market


class Discovery:
    """The groups of some targets, written once: requests differ only in where those are scraped."""

    def __init__(self, targets: Iterable[Target | Market], config: Config) -> None:
        interval = milliseconds(config.fleet.poll_interval_seconds)
        timeout = milliseconds(config.scrape_timeout_seconds)
        self._labels = [
            # Without the brace that opens it.
            json.dumps(
                {
                    "__metrics_path__": "/probe",
                    "__param_target": target.instance,
                    "__param_module": target.module,
                    "__scrape_interval__": interval,
                    "__scrape_timeout__": timeout,
                    "instance": target.instance,
                    **target.labels,
                }
            )[1:]
            for target in targets
        ]
        self._digest = hashlib.sha256("\n".join(self._labels).encode()).hexdigest()

    def tag(self, own_address: str, scheme: str) -> str:
        """What changes whenever :meth:`body` does, for the header ``ETag``."""
        return hashlib.sha256(f"{self._digest} {scheme}://{own_address}".encode()).hexdigest()[:32]

    def body(self, own_address: str, scheme: str) -> bytes:
        """The answer, in JSON, for an exporter that is reached at *own_address* by *scheme*."""
        head = f'{{"targets": [{json.dumps(own_address)}], "labels": {{"__scheme__": {json.dumps(scheme)}, '
        return f"[{', '.join(f'{head}{labels}}}' for labels in self._labels)}]".encode()


def milliseconds(seconds: float) -> str:
    """A duration as Prometheus writes it, to the millisecond."""
    return f"{round(seconds * 1000)}ms"
