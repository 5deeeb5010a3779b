"""How long a board has been up, where it prints whole minutes only."""

from __future__ import annotations

from dataclasses import dataclass

_PRINTED_TO_SECONDS = 60.0


@dataclass(slots=True)
class Uptime:
    """Remembers when the board must have started, so that reading the minutes anew does not set it back.

    A step back is a restart to whoever counts those.
    """

    _booted: float | None = None

    def seconds(self, printed: float, read_at: float, now: float) -> float:
        """Seconds up at *now*, of *printed* seconds that were read at *read_at*, in the same clock."""
        booted = read_at - printed
        if self._booted is None or not 0 <= booted - self._booted < _PRINTED_TO_SECONDS:
            self._booted = booted
        return now - self._booted
