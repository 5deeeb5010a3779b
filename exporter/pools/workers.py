"""An account's workers, bounded: names are whatever a miner logged in with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from exporter.pools.reading import Worker
from exporter.units import clean

MOST_WORKERS = 2000
_NAME_LENGTH = 128


def bounded(found: Iterable[tuple[str, Callable[[str], Worker]]]) -> tuple[list[Worker], int]:
    """At most :data:`MOST_WORKERS` workers, and how many more there are.

    *found* gives each worker's name as the pool has it and a function from the cleaned name to the worker. Of
    two that have one name after cleaning the first counts, and the other is among those left out; so is a
    worker without a name.
    """
    kept: dict[str, Worker] = {}
    cut = 0
    for raw, make in found:
        name = clean(raw, _NAME_LENGTH)
        if not name or name in kept or len(kept) >= MOST_WORKERS:
            cut += 1
            continue
        kept[name] = make(name)
    return list(kept.values()), cut


class WorkerNames:
    """Which miners mine under a worker's name; the same object through every reload of the configuration."""

    def __init__(self) -> None:
        self._miners: Mapping[str, Sequence[str]] = {}

    def update(self, names: Iterable[tuple[str, str]]) -> None:
        """Know these pairs of worker and miner, and no others."""
        found: dict[str, list[str]] = {}
        for worker, miner in names:
            found.setdefault(worker, []).append(miner)
        self._miners = found

    def miners(self, worker: str) -> Sequence[str]:
        """The miners of a worker as a pool names it: with or without the account's name before a dot."""
        return self._miners.get(worker) or self._miners.get(worker.partition(".")[2], ())


class Seen:
    """The workers of a pool that lists only those connected: who is gone was listed before.

    Who was not listed for *kept_seconds* is forgotten; after a restart nobody has been seen.
    """

    def __init__(self, clock: Callable[[], float], kept_seconds: float) -> None:
        self._clock = clock
        self._kept_seconds = kept_seconds
        self._last: dict[str, float] = {}

    def gone(self, listed: Iterable[str]) -> list[str]:
        """The names seen before that are not *listed* now."""
        now = self._clock()
        present = set(listed)
        kept = {name: at for name, at in self._last.items() if now - at < self._kept_seconds}
        room = max(0, MOST_WORKERS - len(present))
        away = sorted((name for name in kept if name not in present), key=kept.__getitem__, reverse=True)
        self._last = {name: kept[name] for name in away[:room]} | dict.fromkeys(present, now)
        return away[:room]
