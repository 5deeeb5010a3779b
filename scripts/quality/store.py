"""A database for a replay: series in by remote write, answers out by range queries, on loopback only.

Remote write 1.0 is https://prometheus.io/docs/specs/prw/remote_write_spec/, snappy's block format
https://github.com/google/snappy/blob/main/format_description.txt.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from exporter.simulator.stack import free_port

Labels = Mapping[str, str]
Values = NDArray[np.float64]
# The bits that say: the series has ended.
STALE = np.uint64(0x7FF0_0000_0000_0002)
_PROGRAMS = ("victoria-metrics", "victoria-metrics-prod")
_PATIENCE_SECONDS = 60
_BODY_BYTES = 12_000_000
_SAMPLE = np.dtype(
    [
        ("field", "u1", 2),
        ("value_tag", "u1"),
        ("value", "<f8"),
        ("time_tag", "u1"),
        ("time", "u1", 6),
    ]
)


class StoreError(Exception):
    """The database is missing, does not start, or refuses; the text says which."""


class Series(NamedTuple):
    """One series on the replay's grid of times; NaN is no sample."""

    labels: Labels
    values: Values


class _Result(msgspec.Struct):
    metric: dict[str, str]
    values: list[tuple[float, float]]


class _Data(msgspec.Struct):
    result: list[_Result]


class _Answer(msgspec.Struct):
    data: _Data


class Grid(NamedTuple):
    """The times of a replay: *size* of them, *step* seconds apart, from *start* in Unix seconds."""

    start: int
    step: int
    size: int

    def part(self, first: int, count: int) -> Grid:
        """*count* of the times, from the one numbered *first*."""
        return Grid(self.start + first * self.step, self.step, min(count, self.size - first))

    @property
    def end(self) -> int:
        """The last time."""
        return self.start + (self.size - 1) * self.step

    def times(self) -> NDArray[np.int64]:
        """All of them, in Unix seconds."""
        return self.start + self.step * np.arange(self.size, dtype=np.int64)


class Store:
    """VictoriaMetrics in a directory of its own, or the database at *url*, which must be empty."""

    def __init__(self, url: str | None = None) -> None:
        self.url = url or f"http://127.0.0.1:{free_port()}"
        self._own = url is None
        self._decoder = msgspec.json.Decoder(_Answer, strict=False)

    def __enter__(self) -> Self:
        if self._own:
            program = next(filter(None, map(shutil.which, _PROGRAMS)), None)
            if program is None:
                raise StoreError("victoria-metrics is not installed: apt-get install victoria-metrics")
            self._directory = tempfile.TemporaryDirectory(prefix="alert-quality-")
            self._log = (Path(self._directory.name) / "log").open("wb")
            self._process = subprocess.Popen(
                [
                    program,
                    f"-storageDataPath={self._directory.name}/data",
                    f"-httpListenAddr={self.url.removeprefix('http://')}",
                    "-retentionPeriod=100y",
                    "-search.disableCache",
                    "-search.latencyOffset=0s",
                    "-search.maxQueryDuration=10m",
                    "-search.maxPointsPerTimeseries=1000000",
                    "-search.maxSamplesPerQuery=10000000000",
                    "-search.maxQueryLen=65536",
                ],
                stdout=self._log,
                stderr=self._log,
            )
        self._ready()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._own:
            self._process.terminate()
            try:
                self._process.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._log.close()
            self._directory.cleanup()

    def _ready(self) -> None:
        until = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"{self.url}/-/healthy", timeout=5):
                    return
            except OSError:
                time.sleep(0.1)
        raise StoreError(f"nothing answers at {self.url}")

    def write(self, series: Iterable[Series], grid: Grid, *, shift_ms: int = 0) -> int:
        """Store *series*, each with an end mark where its samples stop; the number of samples."""
        body: list[bytes] = []
        size = samples = 0
        tails = _times(grid, shift_ms)
        for one in series:
            encoded, count = _time_series(one, tails)
            samples += count
            if not count:
                continue
            body.append(encoded)
            size += len(encoded)
            if size > _BODY_BYTES:
                self._post(b"".join(body))
                body, size = [], 0
        if body:
            self._post(b"".join(body))
        return samples

    def flush(self) -> None:
        """Make what was written visible to queries; in Prometheus, without such a page, it is at once."""
        with contextlib.suppress(StoreError):
            self._get("/internal/force_flush", {})

    def query(self, expression: str, grid: Grid) -> list[Series]:
        """What the expression is at each time of *grid*.

        Raises:
            StoreError: the database refuses the expression.
        """
        answer = self._get(
            "/api/v1/query_range",
            {"query": expression, "start": grid.start, "end": grid.end, "step": grid.step, "nocache": 1},
        )
        found = []
        for result in self._decoder.decode(answer).data.result:
            count = 2 * len(result.values)
            points = np.fromiter(chain.from_iterable(result.values), np.float64, count).reshape(-1, 2)
            values = np.full(grid.size, np.nan)
            values[((points[:, 0] - grid.start) / grid.step).round().astype(np.int64)] = points[:, 1]
            found.append(Series(result.metric, values))
        return found

    def _get(self, path: str, parameters: Mapping[str, object]) -> bytes:
        data = urllib.parse.urlencode(parameters).encode()
        request = urllib.request.Request(self.url + path, data=data)
        return self._ask(request)

    def _post(self, message: bytes) -> None:
        request = urllib.request.Request(
            f"{self.url}/api/v1/write",
            data=_snappy(message),
            headers={
                "Content-Encoding": "snappy",
                "Content-Type": "application/x-protobuf",
                "X-Prometheus-Remote-Write-Version": "0.1.0",
            },
        )
        self._ask(request)

    def _ask(self, request: urllib.request.Request) -> bytes:
        try:
            with urllib.request.urlopen(request, timeout=600) as response:
                answer: bytes = response.read()
                return answer
        except urllib.error.HTTPError as error:
            raise StoreError(f"{request.full_url}: {error.read().decode(errors='replace')[:2000]}") from None
        except OSError as error:
            raise StoreError(f"{request.full_url}: {error}") from None


def _times(grid: Grid, shift_ms: int) -> NDArray[np.uint8]:
    """The times in milliseconds, as protocol-buffer varints of six bytes each."""
    left = grid.times() * 1000 + shift_ms
    coded = np.empty((grid.size, 6), dtype=np.uint8)
    for byte in range(6):
        coded[:, byte] = (left & 0x7F) | (0x80 if byte < 5 else 0)
        left >>= 7
    return coded


def _time_series(series: Series, times: NDArray[np.uint8]) -> tuple[bytes, int]:
    """One series as field 1 of a write request, and its number of samples."""
    values = np.ascontiguousarray(series.values, dtype=np.float64)
    known = ~np.isnan(values)
    ends = np.zeros_like(known)
    ends[1:] = known[:-1] & ~known[1:]
    written = known | ends
    count = int(written.sum())
    samples = np.empty(count, dtype=_SAMPLE)
    samples["field"] = (0x12, 16)
    samples["value_tag"], samples["time_tag"] = 0x09, 0x10
    bits = values.view(np.uint64).copy()
    bits[ends] = STALE
    samples["value"] = bits[written].view(np.float64)
    samples["time"] = times[written]
    labels = b"".join(
        b"\x0a" + _sized(b"\x0a" + _sized(name.encode()) + b"\x12" + _sized(value.encode()))
        for name, value in sorted(series.labels.items())
        if value
    )
    return b"\x0a" + _sized(labels + samples.tobytes()), count


def _sized(data: bytes) -> bytes:
    return _varint(len(data)) + data


def _varint(number: int) -> bytes:
    coded = bytearray()
    while number > 0x7F:
        coded.append(number & 0x7F | 0x80)
        number >>= 7
    coded.append(number)
    return bytes(coded)


def _snappy(data: bytes) -> bytes:
    """*data* in snappy's format as one literal: on loopback there is nothing to gain by compressing."""
    return _varint(len(data)) + b"\xfc" + (len(data) - 1).to_bytes(4, "little") + data
