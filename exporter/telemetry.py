"""The exporter's own series, for ``/metrics``; names and help texts come from the catalogue."""

from __future__ import annotations

import platform
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from exporter import __version__
from exporter import catalogue as c

_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Telemetry:
    """Counters of the exporter itself. One per process; it survives reloads."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self.registry)
        self.probes = Counter(c.PROBES.name, c.PROBES.help, c.PROBES.labels, registry=self.registry)
        self.failures = Counter(
            c.PROBE_FAILURES.name, c.PROBE_FAILURES.help, c.PROBE_FAILURES.labels, registry=self.registry
        )
        self.durations = Histogram(
            c.PROBE_DURATION.name,
            c.PROBE_DURATION.help,
            c.PROBE_DURATION.labels,
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.in_flight = self._gauge(c.PROBES_IN_FLIGHT)
        self.miners = self._gauge(c.MINERS)
        self.pools = self._gauge(c.POOL_ACCOUNTS)
        self.reload_successful = self._gauge(c.RELOAD_SUCCESSFUL)
        self.reload_timestamp = self._gauge(c.RELOAD_TIMESTAMP)
        Info(c.BUILD_INFO.family, c.BUILD_INFO.help, registry=self.registry).info(
            {"version": __version__, "python": platform.python_version()}
        )

    def count_breakers(self, states: Callable[[], Iterable[tuple[str, str]]]) -> None:
        """Export how many breakers are in each state; *states* gives module and state of each."""
        self.registry.register(_Breakers(states))

    def _gauge(self, metric: c.Metric) -> Gauge:
        return Gauge(metric.name, metric.help, metric.labels, registry=self.registry)


class _Breakers(Collector):
    def __init__(self, states: Callable[[], Iterable[tuple[str, str]]]) -> None:
        self._states = states

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(c.BREAKERS.name, c.BREAKERS.help, labels=c.BREAKERS.labels)
        tally = Tally(self._states())
        for module in sorted({module for module, _ in tally}):
            for state in c.BREAKER_STATES:
                family.add_metric((module, state), tally[module, state])
        yield family
