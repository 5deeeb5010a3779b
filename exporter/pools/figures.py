"""Figures that several pools tell in the same form."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.fields import Fields


def hashrates(data: Fields, windows: Iterable[tuple[str, str, float]]) -> dict[str, float]:
    """Hashes per second by window, of those that are told.

    *windows* are the window's name, the field, and how many hashes per second one of its unit is.
    """
    return {window: rate * scale for window, key, scale in windows if (rate := data.numeral(key)) is not None}
