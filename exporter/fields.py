"""JSON from a device nobody trusts, read field by field through the type each should have.

A missing field and a ``null`` are absent. A field of another type is absent too, and its path is counted,
since that is how a firmware no one has seen yet shows itself. NaN and infinities, which some firmware
writes into JSON, are absent and counted.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from exporter.errors import ProbeError, Reason
from exporter.units import clean

# More boards, fans or pools than any device has, and few enough to bound a page.
MAX_ITEMS = 32


# Numbers too small for full precision cost a decoder some twenty microseconds each, and Python itself less
# than one. No device and no pool writes so many with a negative exponent.
_MOST_SMALL_NUMBERS = 16_384
# Lists and objects are what costs most a byte; an account of five thousand workers has a tenth of these.
_MOST_CONTAINERS = 65_536
# The lenient decoder is slow on what is nested or full of names; what needs it is short.
_MOST_LENIENT_BYTES = 128 * 1024

_STRICT = msgspec.json.Decoder()
_STRICT_ON_SMALL_NUMBERS = msgspec.json.Decoder(float_hook=float)
_LENIENT = json.JSONDecoder(strict=False)


def decode(body: bytes) -> Any:
    """A response body as JSON, in time that grows with its length alone.

    Tolerates what firmware is known to send: a byte order mark, bytes that are not UTF-8, a trailing NUL, and
    in bodies of up to 128 KiB raw control characters in strings and NaN.

    Raises:
        ProbeError: ``not_json`` for anything else, nesting beyond the interpreter's limit included.
    """
    small = small_numbers(body)
    if small > _MOST_SMALL_NUMBERS:
        raise ProbeError(Reason.NOT_JSON, f"the answer has {small} numbers with a negative exponent")
    containers = body.count(b"[") + body.count(b"{")
    if containers > _MOST_CONTAINERS:
        raise ProbeError(Reason.NOT_JSON, f"the answer has {containers} lists and objects")
    strict = _STRICT_ON_SMALL_NUMBERS if small else _STRICT
    try:
        # Quick and strict; what it refuses may still be what firmware is known to send.
        return strict.decode(body)
    except (ValueError, RecursionError):
        pass
    text = body.decode("utf-8", "replace").strip("\ufeff\0 \t\r\n")
    try:
        return strict.decode(text) if len(body) > _MOST_LENIENT_BYTES else _LENIENT.decode(text)
    except (ValueError, RecursionError) as error:
        web_page = text[:64].lstrip().startswith("<")
        hint = "HTML" if web_page else f"{len(body)} bytes"
        raise ProbeError(
            Reason.NOT_JSON, f"the answer is not JSON ({hint}): {_why(error)}", web_page=web_page
        ) from None


def small_numbers(body: bytes) -> int:
    """How many numbers of a body may have a negative exponent; text that looks like one counts too."""
    return body.count(b"e-") + body.count(b"E-")


def _why(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deeply"
    # Only the decoder's own words: the rest of the message may quote the device.
    return getattr(error, "msg", "a number is too long")


class Fields:
    """One JSON object, its dotted path for reports, and the counter of odd fields."""

    __slots__ = ("_data", "_odd", "_path")

    def __init__(self, data: Any, path: str, odd: Counter[str]) -> None:
        if data is not None and not isinstance(data, dict):
            odd[path] += 1
            data = None
        self._data: Mapping[str, Any] = data or {}
        self._path = path
        self._odd = odd

    def __bool__(self) -> bool:
        return bool(self._data)

    def __contains__(self, key: str) -> bool:
        return self._data.get(key) is not None

    def keys(self) -> Iterator[str]:
        """The keys the device sent."""
        return iter(self._data)

    def number(self, key: str) -> float | None:
        """A finite number; ``true`` is not one."""
        value = self._data.get(key)
        kind = type(value)
        if kind is int or kind is float:
            try:
                number = float(value)  # type: ignore[arg-type]
            except OverflowError:
                number = math.inf
            if math.isfinite(number):
                return number
        if value is not None:
            self._odd[f"{self._path}.{key}"] += 1
        return None

    def numeral(self, key: str) -> float | None:
        """A number, or a string that is one; a blank one is absent."""
        value = self._data.get(key)
        if isinstance(value, str):
            if not value or value.isspace():
                return None
            try:
                number = float(value[:64])
            except ValueError:
                number = math.nan
            if math.isfinite(number):
                return number
            self._odd[f"{self._path}.{key}"] += 1
            return None
        return self.number(key)

    def text(self, key: str) -> str | None:
        """A string, cleaned for use as a label; an empty one is absent."""
        value = self._data.get(key)
        if isinstance(value, str):
            return clean(value) or None
        if value is not None:
            self._odd[f"{self._path}.{key}"] += 1
        return None

    def flag(self, key: str) -> bool | None:
        """A boolean."""
        value = self._data.get(key)
        if isinstance(value, bool):
            return value
        if value is not None:
            self._odd[f"{self._path}.{key}"] += 1
        return None

    def choice(self, key: str, known: tuple[str, ...]) -> str | None:
        """A string of an enumeration; one that is not among *known* is returned as it is, and counted."""
        value = self.text(key)
        if value is not None and value not in known:
            self._odd[f"{self._path}.{key}"] += 1
            return value[:32]
        return value

    def object(self, key: str) -> Fields:
        """An object; an empty one if absent."""
        return Fields(self._data.get(key), f"{self._path}.{key}", self._odd)

    def objects(self, key: str, most: int = MAX_ITEMS) -> Iterator[Fields]:
        """The first *most* objects of an array; nothing if absent."""
        return items(self._data.get(key), f"{self._path}.{key}", self._odd, most)

    def raw(self, key: str) -> Any:
        """The value as it came; for fields whose type says which dialect is spoken."""
        return self._data.get(key)

    def odd(self, key: str) -> None:
        """Count a field whose text could not be understood."""
        self._odd[f"{self._path}.{key}"] += 1


def items(value: Any, path: str, odd: Counter[str], most: int = MAX_ITEMS) -> Iterator[Fields]:
    """The first *most* objects of a JSON array; anything else, and any more, is counted."""
    if isinstance(value, list):
        if len(value) > most:
            odd[path] += 1
        for item in value[:most]:
            if isinstance(item, dict):
                yield Fields(item, f"{path}[]", odd)
            else:
                odd[f"{path}[]"] += 1
    elif value is not None:
        odd[path] += 1
