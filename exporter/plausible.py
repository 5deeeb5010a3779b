"""The guard between a reading and its page: values that cannot be true are dropped and counted."""

from __future__ import annotations

import math
from collections import Counter

from exporter.catalogue import Metric
from exporter.exposition import Page


class Guard:
    """Adds samples to a page, unless they lie outside their metric's bounds."""

    __slots__ = ("dropped", "page")

    def __init__(self, page: Page) -> None:
        self.page = page
        self.dropped: Counter[str] = Counter()

    def add(self, metric: Metric, value: float | None, *labels: str) -> None:
        """Add one sample; drop and count it if it is out of bounds or not finite."""
        if value is None:
            return
        # Not a number fails every comparison; infinities are stopped by bounds, or here.
        if metric.low <= value <= metric.high and -math.inf < value < math.inf:
            self.page.put(metric, labels, value)
        else:
            self.drop(metric)

    def drop(self, metric: Metric) -> None:
        """Count a value that was found impossible."""
        self.dropped[metric.name] += 1
