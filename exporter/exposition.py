"""Samples to text: Prometheus text format 0.0.4 and OpenMetrics 1.0, to the letter of both.

Ours, since a probe's cost is mostly its rendering and the client library's renderer takes several times as
long; the tests hold it against the library's reference parsers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum

from exporter.catalogue import Kind, Metric

LabelValues = tuple[str, ...]
_NO_LABELS: LabelValues = ()


class Format(Enum):
    """A text format, by the content type it is sent with."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def negotiate(accept: str) -> Format:
    """The format for an ``Accept`` header: OpenMetrics for those who name it, text for all others."""
    for part in accept.split(","):
        media, _, parameters = part.strip().partition(";")
        if media == "application/openmetrics-text":
            if "q=0" in (item.strip() for item in parameters.split(";")):
                continue
            return Format.OPENMETRICS
        if media == "text/plain":
            return Format.TEXT
    return Format.TEXT


class Page:
    """The samples of one answer, each series once.

    A series given twice keeps its first value: a device that reports two boards with one number must not
    make the page unreadable.
    """

    __slots__ = ("_families",)

    def __init__(self) -> None:
        self._families: dict[Metric, dict[LabelValues, float]] = {}

    def add(self, metric: Metric, value: float | None, *labels: str) -> None:
        """Add one sample; ``None`` is a value nobody knows, and so no sample."""
        if value is None:
            return
        family = self._families.get(metric)
        if family is None:
            family = self._families[metric] = {}
        family.setdefault(labels, value)

    def add_states(self, metric: Metric, state: str | None, *labels: str) -> None:
        """Add a state set: 1 for *state*, 0 for the others; no samples if the state is unknown."""
        if state is None:
            return
        for known in metric.states:
            self.add(metric, float(known == state), *labels, known)
        if state not in metric.states:
            self.add(metric, 1.0, *labels, state)

    def update(self, other: Page) -> None:
        """Add all samples of *other*."""
        for metric, samples in other.families():
            self._families[metric] = {**samples, **self._families.get(metric, {})}

    def family(self, metric: Metric) -> dict[LabelValues, float]:
        """The samples of one family, open for writing; for callers that add thousands."""
        return self._families.setdefault(metric, {})

    def value(self, metric: Metric, *labels: str) -> float | None:
        """One sample's value, or ``None``."""
        return self._families.get(metric, {}).get(labels)

    def families(self) -> Iterator[tuple[Metric, Mapping[LabelValues, float]]]:
        """Every family with its samples."""
        yield from self._families.items()

    def __len__(self) -> int:
        return sum(map(len, self._families.values()))


def render(pages: Iterable[tuple[Mapping[str, str], Page]], form: Format) -> bytes:
    """Write pages as one text; each page's own labels go onto each of its series.

    A family appears once, with the series of all pages below it, as both formats demand.
    """
    merged: dict[Metric, list[tuple[str, Mapping[LabelValues, float]]]] = {}
    for extra, page in pages:
        prefix = ",".join(f'{name}="{escape(value)}"' for name, value in extra.items())
        for metric, samples in page.families():
            merged.setdefault(metric, []).append((prefix, samples))
    openmetrics = form is Format.OPENMETRICS
    rendered: dict[tuple[tuple[str, ...], str, LabelValues], str] = {}
    lines: list[str] = []
    for metric, parts in merged.items():
        lines.extend(_head(metric, openmetrics))
        name, names = metric.name, metric.labels
        for prefix, samples in parts:
            for values, value in samples.items():
                if values or prefix:
                    key = (names, prefix, values)
                    labels = rendered.get(key)
                    if labels is None:
                        labels = rendered[key] = _labels(names, prefix, values)
                    lines.append(f"{name}{labels} {number(value)}")
                else:
                    lines.append(f"{name} {number(value)}")
    if openmetrics:
        lines.append("# EOF")
    return ("\n".join(lines) + "\n").encode() if lines else b""


def number(value: float) -> str:
    """A sample value: the shortest text that reads back to the same float."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return repr(float(value))


def escape(value: str) -> str:
    """A label value as both formats quote it; a lone surrogate becomes a question mark."""
    if not value.isprintable():
        value = value.encode("utf-8", "replace").decode()
    if "\\" in value or '"' in value or "\n" in value:
        return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return value


def _labels(names: tuple[str, ...], prefix: str, values: LabelValues) -> str:
    own = ",".join([f'{name}="{escape(value)}"' for name, value in zip(names, values, strict=True)])
    return f"{{{prefix},{own}}}" if prefix and own else f"{{{prefix or own}}}"


def _head(metric: Metric, openmetrics: bool) -> Iterator[str]:
    text = metric.help.replace("\\", r"\\").replace("\n", r"\n")
    if not openmetrics:
        yield f"# HELP {metric.name} {text}"
        yield f"# TYPE {metric.name} {'gauge' if metric.kind is Kind.INFO else metric.kind}"
        return
    family = metric.family
    escaped = text.replace('"', r"\"")
    yield f"# HELP {family} {escaped}"
    yield f"# TYPE {family} {metric.kind}"
    if metric.unit:
        yield f"# UNIT {family} {metric.unit}"
