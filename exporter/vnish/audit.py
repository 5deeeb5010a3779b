"""Is the miner mining where its owner wants it to? A hijacked or swapped miner is not.

The firmware's own fee pools are no concern of the owner's and are left out. Without a token the firmware
hides the user; then the pool's host alone is compared.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from exporter import catalogue as c
from exporter.exposition import Page
from exporter.vnish.reading import MinerReading, Pool

_HOST = re.compile(r"(?:[a-z0-9+.-]+://)?(?:[^/@]*@)?([^/@:\s]+)(?::(\d+))?(?:/.*)?", re.IGNORECASE)


def is_owners(pool: Pool) -> bool:
    """Whether a pool is the owner's; a slot without an address is empty, and nobody mines there."""
    return pool.kind == "UserPool" and bool(pool.url)


def mined_pool(reading: MinerReading) -> Pool | None:
    """The owner's pool that the miner mines to now, else the first in its list; ``None`` without any."""
    own = [pool for pool in reading.pools if is_owners(pool)]
    return next((pool for pool in own if pool.status == "active"), own[0] if own else None)


def mined_at(reading: MinerReading) -> str | None:
    """Where the miner mines for its owner, as :func:`pool_host` gives it; ``None`` if it does not show it."""
    pool = mined_pool(reading)
    return pool_host(pool.url) if pool else None


def pool_host(url: str | None) -> str | None:
    """``host`` or ``host:port`` of a pool's URL, in lower case; ``None`` if it is none."""
    found = _HOST.fullmatch(url or "")
    if not found:
        return None
    host = found[1].lower().rstrip(".")
    return f"{host}:{found[2]}" if found[2] else host


class _Shown(Protocol):
    """What a miner shows of a pool."""

    @property
    def url(self) -> str | None: ...

    @property
    def user(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class PoolAudit:
    """What is expected of one miner: *hosts* as ``host`` or ``host:port``, its *account* and *worker*."""

    hosts: frozenset[str]
    account: str | None
    worker: str | None

    def __bool__(self) -> bool:
        return bool(self.hosts or self.account)

    def write(self, reading: MinerReading, page: Page) -> None:
        """Add 1 or 0 for each of the owner's pools in the miner's list."""
        for pool in reading.pools:
            if is_owners(pool):
                page.add(c.POOL_MATCH, float(self.matches(pool)), pool.number)

    def matches(self, pool: _Shown) -> bool:
        """Whether a pool is as expected, as far as the miner shows it."""
        return self._right_host(pool.url) and self._right_user(pool.user)

    def _right_host(self, url: str | None) -> bool:
        if not self.hosts:
            return True
        host = pool_host(url)
        return host is not None and (host in self.hosts or host.partition(":")[0] in self.hosts)

    def _right_user(self, user: str | None) -> bool:
        if user is None or set(user) == {"*"}:
            return True
        account, _, worker = user.partition(".")
        if self.account is not None and account != self.account:
            return False
        return not (worker and self.worker) or worker == self.worker
