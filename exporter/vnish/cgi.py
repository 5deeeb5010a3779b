"""VNish 3.9 on L3+ and other old models: the maker's CGI pages behind HTTP Digest.

``/cgi-bin/get_system_info.cgi``:
    {"minertype": "Antminer L3+ (vnish 3.9.0)", "macaddr": "...", "hostname": "..."}
``/cgi-bin/get_miner_status.cgi``, its figures as text, sometimes not valid JSON:
    {"summary": {"elapsed": "119", "ghs5s": "504.8", "ghsav": "503.1", "hw": "5", "bestshare": "1"},
     "pools": [{"index": "0", "url": "...", "user": "...", "status": "Alive", "diff": "65.5K",
                "accepted": "5", "rejected": "0", "stale": "0", "lsdiff": "65536", "lstime": "0:00:05"}],
     "devs": [{"index": "1", "chain_acn": "72", "chain_acs": " oooooooo ooo", "freq": "384", "rate": "126.1",
               "temp": "48", "temp2": "62", "hw": "1"}],
     "fan1": "4530"}

The rates are called GH/s; a scrypt miner counts in MH/s all the same. There is no state and no power.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import aiohttp
from pydantic import SecretStr

from exporter import units
from exporter.errors import ProbeError, Reason
from exporter.fields import Fields, decode
from exporter.http import Client
from exporter.vnish.reading import Board, Fan, Identity, MinerReading, Pool, Range

INFO = "/cgi-bin/get_system_info.cgi"
STATUS = "/cgi-bin/get_miner_status.cgi"
USER = "root"
DEFAULT_PASSWORD = "root"  # noqa: S105 - the maker's, printed on the box
KEPT_SECONDS = 300.0
_TYPE = re.compile(r"(.*?)\s*\((\w+)\s+([^)]+)\)\s*")
_REPAIRS = (
    # What these pages are known to do: bare assignments in lists, commas too many, commas too few. They are
    # possessive, and enter a run of blanks at one place only: no page may make them slow.
    (re.compile(r",?(?<!\s)\s*+\b[A-Za-z_]\w*+=[^,\]}\s]*+"), ""),
    (re.compile(r",(\s*+[}\]])"), r"\1"),
    (re.compile(r"([}\]\"0-9])([^\S\n]*+\n\s*+)(\")"), r"\1,\2\3"),
    (re.compile(r"\}(\s*+)\{"), r"},\1{"),
)
_STATUSES = {"alive": "working", "dead": "offline", "disabled": "disabled", "rejecting": "rejecting"}


class Cgi:
    """Reads one miner through its CGI pages."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        password: SecretStr | None = None,
        boards: bool = True,
        pools: bool = True,
    ) -> None:
        self._clock = clock
        self._boards = boards
        self._pools = pools
        secret = password.get_secret_value() if password else DEFAULT_PASSWORD
        # Remembers the miner's challenge, so that most reads need no second request.
        self._digest = aiohttp.DigestAuthMiddleware(USER, secret)
        self._info: Any = None
        self._info_until = 0.0

    async def read(self, client: Client) -> MinerReading:
        """One reading.

        Raises:
            ProbeError: a page did not answer, or not with such an object.
        """
        odd: Counter[str] = Counter()
        if self._info is None or self._info_until <= self._clock():
            self._info = await self._get(client, INFO)
            self._info_until = self._clock() + KEPT_SECONDS
        info = Fields(self._info, "get_system_info", odd)
        if "minertype" not in info:
            self._info = None
            raise ProbeError(Reason.BAD_SHAPE, f"{INFO} names no miner type")
        data = await self._get(client, STATUS)
        if not isinstance(data, dict) or not isinstance(data.get("summary"), dict):
            raise ProbeError(Reason.BAD_SHAPE, f"{STATUS} has no summary")
        reading = MinerReading(_identity(info), unexpected=odd)
        reading.endpoints = {"get_system_info": True, "get_miner_status": True}
        status = Fields(data, "get_miner_status", odd)
        scale = units.hashes_per_measure(None, reading.identity.model, None)
        _summary(reading, status, scale)
        if self._boards:
            reading.boards = [_board(dev, scale) for dev in status.objects("devs")]
            hottest = [board.chip_temperature.high for board in reading.boards if board.chip_temperature.high]
            reading.chip_temperature = Range(None, max(hottest, default=None))
        if self._pools:
            reading.pools = [_pool(pool) for pool in status.objects("pools")]
        return reading

    def forget(self) -> None:
        """Read everything anew next time."""
        self._info = None

    async def _get(self, client: Client, path: str) -> Any:
        answer = await client.request("GET", path, middlewares=(self._digest,))
        try:
            if answer.status in (401, 403):
                raise ProbeError(Reason.UNAUTHORISED, f"{path} answered status {answer.status}")
            if answer.status != 200:
                raise ProbeError(Reason.HTTP_STATUS, f"{path} answered status {answer.status}")
            return lenient(answer.body)
        except ProbeError as error:
            client.steps[-1].problem = str(error)
            raise


def lenient(body: bytes) -> Any:
    """The page as JSON, mended where it is broken in a known way.

    Raises:
        ProbeError: ``not_json`` if that does not help.
    """
    try:
        return decode(body)
    except ProbeError:
        text = body.decode("utf-8", "replace")
        if text.lstrip().startswith("<") or len(text) > 256 * 1024:
            raise
        for pattern, replacement in _REPAIRS:
            text = pattern.sub(replacement, text)
        try:
            return json.loads(text, strict=False)
        except (ValueError, RecursionError):
            pass
        raise


def _identity(info: Fields) -> Identity:
    printed = info.text("minertype") or ""
    found = _TYPE.fullmatch(printed)
    model = found[1] if found else printed
    return Identity(
        api="cgi",
        model=model,
        algorithm=units.algorithm_of(model),
        firmware=found[2] if found else None,
        firmware_version=found[3] if found else None,
        mac=(info.text("macaddr") or "").lower() or None,
        hostname=info.text("hostname"),
    )


def _summary(reading: MinerReading, status: Fields, scale: float) -> None:
    summary = status.object("summary")
    rate, average = summary.numeral("ghs5s"), summary.numeral("ghsav")
    reading.hashrate = None if rate is None else rate * scale
    reading.hashrate_average = None if average is None else average * scale
    reading.hardware_errors = summary.numeral("hw")
    reading.found_blocks = summary.numeral("foundblocks")
    reading.best_share = summary.numeral("bestshare")
    reading.state_seconds = summary.numeral("elapsed")
    for number in range(1, 9):
        speed = status.numeral(f"fan{number}")
        if speed is not None:
            reading.fans.append(Fan(str(number - 1), speed=speed))


def _board(dev: Fields, scale: float) -> Board:
    rate, frequency = dev.numeral("rate"), dev.numeral("freq")
    if rate is None:
        rate = dev.numeral("chain_rate")
    marks = dev.text("chain_acs") or ""
    return Board(
        number=str(dev.raw("index"))[:8] if isinstance(dev.raw("index"), str | int) else "?",
        hashrate=None if rate is None else rate * scale,
        frequency=None if frequency is None else frequency * 1e6,
        pcb_temperature=Range(None, _celsius(dev, "temp")),
        chip_temperature=Range(None, _celsius(dev, "temp2")),
        hardware_errors=dev.numeral("hw"),
        grades={"grey": float(marks.count("o")), "red": float(marks.count("x") + marks.count("-"))}
        if marks
        else {},
    )


def _celsius(dev: Fields, key: str) -> float | None:
    """A temperature that may be a number, text, or a list of either."""
    value = dev.raw(key)
    if isinstance(value, list):
        known = [Fields({"t": item}, "devs.temp", Counter()).numeral("t") for item in value[:8]]
        return max((one for one in known if one), default=None)
    return dev.numeral(key) or None


def _pool(pool: Fields) -> Pool:
    status = (pool.text("status") or "").lower()
    printed, since = pool.text("diff"), pool.text("lstime")
    index = pool.raw("index")
    return Pool(
        number=str(index)[:8] if isinstance(index, str | int) else "?",
        kind="UserPool",
        url=pool.text("url"),
        user=pool.text("user"),
        status=_STATUSES.get(status, "unknown") if status else None,
        accepted=pool.numeral("accepted"),
        rejected=pool.numeral("rejected"),
        stale=pool.numeral("stale"),
        accepted_difficulty=pool.numeral("diffa"),
        difficulty=None if printed is None else units.difficulty(printed),
        last_share_difficulty=pool.numeral("lsdiff"),
        last_share_age=None if since is None else units.clock_seconds(since),
    )
