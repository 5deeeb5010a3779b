"""What the configuration may say of any pool; a driver adds its own keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from exporter.config.base import Integer, Positive, Section


class PoolSettings(Section):
    """One account at a pool. *name* becomes the ``instance`` of its series; by default the driver's name."""

    name: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    sync_interval_seconds: Positive = 60.0
    rate_limit_requests_per_hour: Annotated[Integer, Field(gt=0)] = 4500
    max_age_minutes: Positive = 10.0
