"""Samples to text: Prometheus text format 0.0.4 and OpenMetrics 1.0, to the letter of both.

Ours, since a probe's cost is mostly its rendering and the client library's renderer takes several times as
long; the tests hold it against the library's reference parsers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from functools import cache, lru_cache

from msgspec.json import Encoder

from exporter.catalogue import Kind, Metric

_encode = Encoder().encode
LabelValues = tuple[str, ...]
_Column = tuple[str, tuple[tuple[str, ...], ...], Sequence[float]]


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

    __slots__ = ("_columns", "_families", "_states")

    def __init__(self) -> None:
        self._families: dict[Metric, dict[LabelValues, float]] = {}
        # State sets by the labels before the state; most of their samples are zeros, and made on demand.
        self._states: dict[Metric, dict[LabelValues, str]] = {}
        # Many samples that differ in their last labels only: the first label, the others, the values.
        self._columns: dict[Metric, list[_Column]] = {}

    def add(self, metric: Metric, value: float | None, *labels: str) -> None:
        """Add one sample; ``None`` is a value nobody knows, and so no sample."""
        if value is not None:
            self.put(metric, labels, value)

    def put(self, metric: Metric, labels: LabelValues, value: float) -> None:
        """Add one sample that is known."""
        family = self._families.get(metric)
        if family is None:
            family = self._families[metric] = {}
        family.setdefault(labels, float(value))

    def add_states(self, metric: Metric, state: str | None, *labels: str) -> None:
        """Add a state set: 1 for *state*, 0 for the others.

        A state that is not among the metric's has a series of its own. An empty one is none of them: all
        are 0. ``None`` is unknown: no samples.
        """
        if state is not None:
            self._states.setdefault(metric, {}).setdefault(labels, state)

    def add_column(
        self,
        metric: Metric,
        values: Sequence[float],
        first: str,
        second: tuple[str, ...],
        *more: tuple[str, ...],
    ) -> None:
        """Add a sample for each of *values*; the other arguments are its labels, the first the same for all.

        There must be at least one value, all of them finite, and the series must be of no other sample of
        the page: this is not checked here.
        """
        self._columns.setdefault(metric, []).append((first, (second, *more), values))

    def update(self, other: Page) -> None:
        """Add all families of *other* that are not here yet; they are shared, so add to neither after."""
        self._families = {**other._families, **self._families}
        self._states = {**other._states, **self._states}
        self._columns = {**other._columns, **self._columns}

    def without(self, label: str) -> Page:
        """The same page but for the families that have *label*; what is left is shared."""
        page = Page()
        page._families = {m: samples for m, samples in self._families.items() if label not in m.labels}
        page._states = {m: sets for m, sets in self._states.items() if label not in m.labels}
        page._columns = {m: columns for m, columns in self._columns.items() if label not in m.labels}
        return page

    def family(self, metric: Metric) -> dict[LabelValues, float]:
        """The samples of one family, open for writing; for callers that add thousands."""
        return self._families.setdefault(metric, {})

    def value(self, metric: Metric, *labels: str) -> float | None:
        """One sample's value, or ``None``."""
        if metric in self._states:
            return _expanded(metric, self._states[metric]).get(labels)
        if metric in self._columns:
            return dict(self.families())[metric].get(labels)
        return self._families.get(metric, {}).get(labels)

    def families(self) -> Iterator[tuple[Metric, Mapping[LabelValues, float]]]:
        """Every family with its samples."""
        for metric, samples in self._families.items():
            if metric not in self._columns:
                yield metric, samples
        for metric, columns in self._columns.items():
            yield metric, {**_unrolled(columns), **self._families.get(metric, {})}
        for metric, sets in self._states.items():
            yield metric, _expanded(metric, sets)

    def __len__(self) -> int:
        return sum(len(samples) for _, samples in self.families())


def _expanded(metric: Metric, sets: Mapping[LabelValues, str]) -> dict[LabelValues, float]:
    """The samples of state sets."""
    samples: dict[LabelValues, float] = {}
    for labels, state in sets.items():
        for known in metric.states:
            samples[(*labels, known)] = float(known == state)
        if state and state not in metric.states:
            samples[(*labels, state)] = 1.0
    return samples


def _unrolled(columns: Iterable[_Column]) -> dict[LabelValues, float]:
    """The samples of columns."""
    return {
        (first, *labels): value
        for first, rest, values in columns
        for *labels, value in zip(*rest, values, strict=True)
    }


def render(pages: Iterable[tuple[Mapping[str, str], Page]], form: Format) -> bytes:
    """Write pages as one text; each page's own labels go onto each of its series.

    A family appears once, with the series of all pages below it, as both formats demand.
    """
    openmetrics = form is Format.OPENMETRICS
    texts = _texts
    families: dict[Metric, list[str]] = {}
    blocks: dict[Metric, list[bytes]] = {}
    for extra, page in pages:
        prefix = ",".join(f'{name}="{escape(value)}"' for name, value in extra.items())
        for metric, samples in page._families.items():  # noqa: SLF001 - of this module
            if not samples:
                continue
            lines = families.get(metric)
            if lines is None:
                lines = families[metric] = [_head(metric, openmetrics)]
            starts = _starts(metric, prefix)
            for labels, value in samples.items():
                start = starts.get(labels)
                if start is None:
                    start = starts[labels] = _start(metric, prefix, labels)
                text = texts.get(value)
                if text is None:
                    text = _remembered(value)
                lines.append(start + text)
        for metric, columns in page._columns.items():  # noqa: SLF001 - of this module
            if metric not in families:
                families[metric] = [_head(metric, openmetrics)]
            blocks.setdefault(metric, []).extend(_block(metric, prefix, *column) for column in columns)
        for metric, sets in page._states.items():  # noqa: SLF001 - of this module
            lines = families.get(metric)
            if lines is None:
                lines = families[metric] = [_head(metric, openmetrics)]
            for labels, state in sets.items():
                lines.append(_state_lines(metric, prefix, labels, state))
    written = ["\n".join(families[metric]).encode() + b"\n" + b"".join(blocks[metric]) for metric in blocks]
    lines = [line for metric, lines in families.items() if metric not in blocks for line in lines]
    lines.append("# EOF\n" if openmetrics else "")
    return b"".join(written) + "\n".join(lines).encode()


def number(value: float) -> str:
    """A sample value: the shortest text that reads back to the same float."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def escape(value: str) -> str:
    """A label value as both formats quote it; a lone surrogate becomes a question mark."""
    if not value.isprintable():
        value = value.encode("utf-8", "replace").decode()
    if "\\" in value or '"' in value or "\n" in value:
        return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return value


# What a line begins with is the same at every scrape, and for most series the same for every miner. Devices
# choose some of the labels, so the caches are emptied when they have grown beyond any honest fleet.
_MOST_CACHED = 2000
_cached_starts: dict[tuple[Metric, str], dict[LabelValues, str]] = {}


# Many values are the same for hundreds of chips, and writing a float costs more than looking it up.
_texts: dict[float, str] = {}


def _remembered(value: float) -> str:
    if len(_texts) >= _MOST_CACHED * 10:
        _texts.clear()
    text = _texts[value] = number(float(value))
    return text


def _starts(metric: Metric, prefix: str) -> dict[LabelValues, str]:
    key = (metric, prefix)
    starts = _cached_starts.get(key)
    if starts is None or len(starts) > _MOST_CACHED:
        if len(_cached_starts) > _MOST_CACHED * 100:
            _cached_starts.clear()
        starts = _cached_starts[key] = {}
    return starts


def _block(
    metric: Metric, prefix: str, first: str, rest: tuple[tuple[str, ...], ...], values: Sequence[float]
) -> bytes:
    """The lines of a column."""
    if values.count(values[0]) == len(values):
        # Most columns of a healthy board: one frequency, one grade, nothing throttled.
        return _even_block(metric, prefix, first, rest, values[0])
    return _block_form(metric, prefix, first, rest) % tuple(_encode(values)[1:-1].split(b","))


# Some twenty forms are a model's; a device that renumbers its chips each time can fill no more than this.
_MOST_BLOCKS = 256


@lru_cache(maxsize=_MOST_BLOCKS)
def _block_form(metric: Metric, prefix: str, first: str, rest: tuple[tuple[str, ...], ...]) -> bytes:
    starts = [_start(metric, prefix, (first, *labels)) for labels in zip(*rest, strict=True)]
    return "".join(start.replace("%", "%%") + "%b\n" for start in starts).encode()


@lru_cache(maxsize=_MOST_BLOCKS)
def _even_block(
    metric: Metric, prefix: str, first: str, rest: tuple[tuple[str, ...], ...], value: float
) -> bytes:
    form = _block_form(metric, prefix, first, rest)
    return form % ((number(float(value)).encode(),) * len(rest[0]))


def _start(metric: Metric, prefix: str, labels: LabelValues) -> str:
    own = ",".join([f'{name}="{escape(value)}"' for name, value in zip(metric.labels, labels, strict=True)])
    both = f"{prefix},{own}" if prefix and own else prefix or own
    return f"{metric.name}{{{both}}} " if both else f"{metric.name} "


@lru_cache(maxsize=20_000)
def _state_lines(metric: Metric, prefix: str, labels: LabelValues, state: str) -> str:
    samples = _expanded(metric, {labels: state})
    return "\n".join(_start(metric, prefix, key) + number(value) for key, value in samples.items())


@cache
def _head(metric: Metric, openmetrics: bool) -> str:
    text = metric.help.replace("\\", r"\\").replace("\n", r"\n")
    if not openmetrics:
        kind = "gauge" if metric.kind is Kind.INFO else metric.kind
        return f"# HELP {metric.name} {text}\n# TYPE {metric.name} {kind}"
    family = metric.family
    escaped = text.replace('"', r"\"")
    unit = f"\n# UNIT {family} {metric.unit}" if metric.unit else ""
    return f"# HELP {family} {escaped}\n# TYPE {family} {metric.kind}{unit}"
