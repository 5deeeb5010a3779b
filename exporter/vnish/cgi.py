"""VNish 3.9 on L3+, S9 and other old models: the maker's CGI pages behind HTTP Digest.

``/cgi-bin/get_system_info.cgi``, all of it text:
    {"minertype": "Antminer L3+ (vnish 3.9.0)", "macaddr": "...", "hostname": "...",
     "uptime": "2:03", "mem_total": "243356", "mem_free": "182352"}
``/cgi-bin/get_miner_status.cgi``, sometimes not valid JSON:
    {"summary": {"elapsed": 119, "ghs5s": "504.8", "ghsav": 503.1, "hw": 5, "foundblocks": 0, "bestshare": 1},
     "pools": [{"index": 0, "url": "...", "user": "...", "status": "Alive", "priority": 0, "diff": "65.5K",
                "accepted": 5, "rejected": 0, "stale": 0, "diffa": 5, "lsdiff": 65536, "lstime": "0:00:05"}],
     "devs": [{"index": "1", "chain_acn": "72", "chain_acs": " oooooooo ooo", "freq": "384", "rate": "126.1",
               "rtideal": "126.0", "totalideal": "504.0", "temp": "48", "temp2": "62", "hw": "1",
               "chain_vol": "920", "chain_consumption": "200", "fan1": "4530", ..., "fan8": "0"}]}

The rates are called GH/s; a scrypt miner counts in MH/s all the same. Every value of a board is text, the
voltage in hundredths of a volt; the fans stand in the first board, 0 where there is none. There is no state:
a stopped miner prints the page with nothing after its colons, and ``"summary": [ ]`` says that the mining
process refused to be asked.

The maker's own firmware has the same names and the same Digest, but neither names VNish nor prints what VNish
adds to a board.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import aiohttp
from pydantic import SecretStr

from exporter import units
from exporter.errors import ProbeError, Reason
from exporter.fields import MAX_ITEMS, Fields, decode
from exporter.http import Client
from exporter.vnish.details import part_number
from exporter.vnish.reading import Board, Fan, Identity, MinerReading, Pool, Range
from exporter.vnish.uptime import Uptime

INFO = "/cgi-bin/get_system_info.cgi"
STATUS = "/cgi-bin/get_miner_status.cgi"
USER = "root"
DEFAULT_PASSWORD = "root"  # noqa: S105 - the maker's, printed on the box
KEPT_SECONDS = 300.0
# Several times what a miner with every board prints.
_MOST_MENDED_BYTES = 64 * 1024
# A string, even one without an end, a bracket or separator, or a bare word: each character once.
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)|[{}\[\],:]|[^\s{}\[\],:"]++', re.DOTALL)
_OPENING = frozenset("{[,:")
_CLOSING = frozenset("}],")
_FAN_SOCKETS = 8
_STATUSES = {"alive": "working", "dead": "offline", "disabled": "disabled", "rejecting": "rejecting"}
_OWN = frozenset({"rtideal", "totalideal", "chain_consumption"})


class StockFirmwareError(ProbeError):
    """An Antminer with its maker's firmware; *identity* is what it says of itself."""

    def __init__(self, identity: Identity) -> None:
        super().__init__(Reason.STOCK_FIRMWARE, f"stock firmware, not VNish: {identity.model}")
        self.identity = identity


class Cgi:
    """Reads one miner through its CGI pages; *algorithm* is what it mines where it names no model."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        password: SecretStr | None = None,
        algorithm: str | None = None,
        boards: bool = True,
        pools: bool = True,
    ) -> None:
        self._clock = clock
        self._algorithm = algorithm
        self._boards = boards
        self._pools = pools
        self._secret = password.get_secret_value() if password else DEFAULT_PASSWORD
        # Remembers the miner's challenge, so that most reads need no second request.
        self._digest = aiohttp.DigestAuthMiddleware(USER, self._secret)
        self._info: Any = None
        self._info_read_at = 0.0
        self._uptime = Uptime()
        self._elapsed: float | None = None
        # What it said it is while it could say so.
        self._known: Identity | None = None
        # Sockets whose fans have turned: 0 is a fan that stopped there, and none anywhere else.
        self._turned: set[int] = set()

    async def read(self, client: Client) -> MinerReading:
        """One reading.

        Raises:
            ProbeError: a page did not answer, or not with such an object; ``stock_firmware`` for an Antminer
                that has not this firmware.
        """
        odd: Counter[str] = Counter()
        info = Fields(await self._get_info(client), "get_system_info", odd)
        if "minertype" not in info:
            self._info = None
            raise ProbeError(Reason.BAD_SHAPE, f"{INFO} names no miner type")
        data = await self._status(client, info)
        status = Fields(data, "get_miner_status", odd)
        told = _tells(data)
        elapsed = status.object("summary").numeral("elapsed") if told else None
        before, self._elapsed = self._elapsed, elapsed
        if (
            before is not None
            and (elapsed is None or elapsed < before)
            and self._info_read_at < self._clock()
        ):
            # It stopped or started anew since; its board may have too.
            self._info = None
            info = Fields(await self._get_info(client), "get_system_info", odd)
        reading = MinerReading(self._identity(info), unexpected=odd)
        reading.endpoints = {"get_system_info": True, "get_miner_status": True}
        self._system(reading, info, elapsed)
        if not told:
            reading.state = "stopped"
            return reading
        scale = _scale(reading.identity)
        _summary(reading, status.object("summary"), scale)
        devs = list(status.objects("devs"))
        reading.fans = self._fans(devs)
        boards = [_board(dev, scale) for dev in devs]
        _totals(reading, devs, boards, scale)
        if self._boards:
            reading.boards = boards
        if self._pools:
            reading.pools = _pools(status)
        return reading

    def forget(self) -> None:
        """Read everything anew next time."""
        self._info = None
        self._digest = aiohttp.DigestAuthMiddleware(USER, self._secret)

    async def _get_info(self, client: Client) -> Any:
        if self._info is None or self._info_read_at + KEPT_SECONDS <= self._clock():
            self._info = await self._get(client, INFO)
            self._info_read_at = self._clock()
        return self._info

    async def _status(self, client: Client, info: Fields) -> dict[str, Any]:
        """The status page of a miner that has this firmware."""
        named = _says_vnish(info)
        stock = StockFirmwareError(_identity(info)) if _says_antminer(info) else None
        try:
            data = await self._get(client, STATUS)
        except ProbeError as error:
            # Newer models have no such page with the maker's firmware.
            if stock and not named and error.reason in (Reason.HTTP_STATUS, Reason.NOT_JSON):
                self._info = None
                raise stock from None
            raise
        if not named and not _has_own_fields(data) and not (self._is_known(info) and not _tells(data)):
            self._info = None
            raise stock or ProbeError(Reason.BAD_SHAPE, f"{INFO} names another firmware")
        if not _is_page(data):
            raise ProbeError(Reason.BAD_SHAPE, f"{STATUS} has no summary")
        return data  # type: ignore[no-any-return]

    def _is_known(self, info: Fields) -> bool:
        return self._known is not None and self._known.mac is not None and self._known.mac == _mac(info)

    def _identity(self, info: Fields) -> Identity:
        who = _identity(info)
        if _says_vnish(info):
            self._known = who
        elif self._known is not None and self._is_known(info):
            # The name comes from the mining process, which has stopped.
            return self._known
        who.firmware = who.firmware or "vnish"
        who.algorithm = who.algorithm or self._algorithm
        return who

    def _system(self, reading: MinerReading, info: Fields, elapsed: float | None) -> None:
        printed = info.text("uptime")
        if printed is not None:
            seconds, known = _uptime(printed, elapsed)
            if seconds is not None:
                # Time goes on while the page is kept.
                reading.uptime = self._uptime.seconds(seconds, self._info_read_at, self._clock())
            elif not known:
                info.odd("uptime")
        total, free = info.numeral("mem_total"), info.numeral("mem_free")
        reading.memory_total = None if total is None else total * 1024
        reading.memory_free = None if free is None else free * 1024

    def _fans(self, devs: list[Fields]) -> list[Fan]:
        fans = []
        for socket in range(1, _FAN_SOCKETS + 1):
            speed = devs[0].numeral(f"fan{socket}") if devs else None
            if speed:
                self._turned.add(socket)
            if speed is not None and socket in self._turned:
                fans.append(Fan(str(socket - 1), speed=speed, ok=speed > 0))
        return fans

    async def _get(self, client: Client, path: str) -> Any:
        answer = await client.request("GET", path, middlewares=(self._digest,))
        try:
            if answer.status in (401, 403):
                raise ProbeError(Reason.UNAUTHORISED, f"{path} answered status {answer.status}")
            if answer.status != 200:
                raise ProbeError(Reason.HTTP_STATUS, f"{path} answered status {answer.status}")
            try:
                return lenient(answer.body)
            except ProbeError as error:
                raise ProbeError(error.reason, f"{path}: {error.detail}") from None
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
        if len(body) > _MOST_MENDED_BYTES or body.lstrip().startswith(b"<"):
            raise
        try:
            return decode(mended(body.decode("utf-8", "replace")).encode())
        except ProbeError:
            pass
        raise


def mended(text: str) -> str:
    """The text without what these pages are known to do to JSON.

    Nothing after a colon becomes ``null``; bare assignments in lists and commas too many go; commas too few
    are put in. Strings are left as they are. Looks at each character once: no page may make it slow.
    """
    out: list[str] = []
    for piece in _TOKEN.findall(text):
        before = out[-1] if out else ""
        if piece[0] != '"' and "=" in piece:
            continue
        if piece in _CLOSING:
            if before == ":":
                out.append("null")
            elif before == ",":
                out.pop()
        elif piece != ":" and before and before not in _OPENING:
            out.append(",")
        out.append(piece)
    return "".join(out)


def _is_page(data: Any) -> bool:
    """Whether this is a status page, be it an empty one."""
    if not isinstance(data, dict) or "summary" not in data:
        return False
    summary = data["summary"]
    return summary is None or summary == [] or (isinstance(summary, dict) and "elapsed" in summary)


def _tells(data: Any) -> bool:
    """Whether a status page has figures of mining."""
    summary = data.get("summary") if isinstance(data, dict) else None
    return isinstance(summary, dict) and any(
        not (value is None or (isinstance(value, str) and not value.strip()))
        for value in (summary.get(key) for key in ("elapsed", "ghs5s", "ghsav"))
    )


def _has_own_fields(data: Any) -> bool:
    devs = data.get("devs") if isinstance(data, dict) else None
    return isinstance(devs, list) and any(
        isinstance(dev, dict) and not _OWN.isdisjoint(dev) for dev in devs[:MAX_ITEMS]
    )


def _says_vnish(info: Fields) -> bool:
    return "vnish" in (info.text("minertype") or "").lower()


def _says_antminer(info: Fields) -> bool:
    return "antminer" in (info.text("minertype") or "").lower()


def _mac(info: Fields) -> str | None:
    return (info.text("macaddr") or "").lower() or None


def _identity(info: Fields) -> Identity:
    """``Antminer L3+ (vnish 3.9.0)``: the model, and in brackets the firmware's brand and version."""
    name, _, rest = (info.text("minertype") or "").partition("(")
    brand = rest.rstrip(") ").split()
    version = brand.pop() if brand and brand[-1][0].isdigit() else None
    model = name.strip() or None
    return Identity(
        api="cgi",
        model=model,
        algorithm=units.algorithm_of(model) if model else None,
        firmware=" ".join(brand) or None,
        firmware_version=version,
        mac=_mac(info),
        hostname=info.text("hostname"),
    )


def _scale(who: Identity) -> float | None:
    """Hashes per second in one unit of the rates; unknown where neither model nor algorithm is known."""
    if who.model is None and who.algorithm is None:
        return None
    return units.hashes_per_measure(None, who.model, who.algorithm)


def _times(value: float | None, factor: float | None) -> float | None:
    return None if value is None or factor is None else value * factor


def _uptime(printed: str, elapsed: float | None) -> tuple[float | None, bool]:
    """Seconds, and whether the text was understood.

    The script prints one word of what ``uptime`` says: ``H:MM``, or a number that is of minutes in the first
    hour and of days after the first day. It is days where mining has gone on for longer than such minutes.
    """
    if not (printed.isascii() and printed.isdigit() and len(printed) <= 6):
        seconds = units.uptime_seconds(printed)
        return seconds, seconds is not None
    number = int(printed)
    if number >= 60 or (elapsed is not None and elapsed >= (number + 1) * 60):
        return number * units.DAY, True
    return None, True


def _summary(reading: MinerReading, summary: Fields, scale: float | None) -> None:
    reading.hashrate = _times(summary.numeral("ghs5s"), scale)
    reading.hashrate_average = _times(summary.numeral("ghsav"), scale)
    reading.hardware_errors = summary.numeral("hw")
    reading.found_blocks = summary.numeral("foundblocks")
    reading.best_share = summary.numeral("bestshare")
    reading.state_seconds = summary.numeral("elapsed")


def _board(dev: Fields, scale: float | None) -> Board:
    rate = dev.numeral("rate")
    marks = dev.text("chain_acs") or ""
    power = dev.numeral("chain_consumption")
    return Board(
        number=_number(dev),
        hashrate=_times(rate, scale),
        hashrate_nominal=_times(dev.numeral("rtideal"), scale) or None,
        # A board that hashes draws more than nothing: 0 is one that cannot tell.
        power=power or None if rate else power,
        voltage=_times(dev.numeral("chain_vol"), 0.01),
        frequency=_times(dev.numeral("freq"), 1e6),
        pcb_temperature=Range(None, _celsius(dev, "temp")),
        chip_temperature=Range(None, _celsius(dev, "temp2")),
        hardware_errors=dev.numeral("hw"),
        chips_expected=dev.numeral("chain_acn"),
        grades={"grey": float(marks.count("o")), "red": float(marks.count("x") + marks.count("-"))}
        if marks
        else {},
    )


def _totals(reading: MinerReading, devs: list[Fields], boards: list[Board], scale: float | None) -> None:
    """What the whole miner has of its boards: the nominal rate, the power, the hottest sensors."""
    for dev in devs:
        if "totalideal" in dev:
            reading.hashrate_nominal = _times(dev.numeral("totalideal"), scale)
            break
    else:
        reading.hashrate_nominal = _sum([board.hashrate_nominal for board in boards])
    reading.power = _sum([board.power for board in boards])
    reading.chip_temperature = _hottest([board.chip_temperature for board in boards])
    reading.pcb_temperature = _hottest([board.pcb_temperature for board in boards])


def _sum(values: list[float | None]) -> float | None:
    """The sum where all are known: one of some boards would be less than the miner's."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _hottest(ranges: list[Range]) -> Range:
    return Range(None, max((one.high for one in ranges if one.high is not None), default=None))


def _number(entry: Fields) -> str:
    """A part's own number, as a label."""
    index = entry.raw("index")
    return (units.clean(index, 8) or "?") if isinstance(index, str) else part_number(entry.number("index"))


def _celsius(dev: Fields, key: str) -> float | None:
    """A temperature that may be a number, text, or a list of either; 0 is a sensor without a reading."""
    value = dev.raw(key)
    if isinstance(value, list):
        known = [Fields({"t": item}, "devs.temp", Counter()).numeral("t") for item in value[:8]]
        return max((one for one in known if one), default=None)
    return dev.numeral(key) or None


def _pools(status: Fields) -> list[Pool]:
    """The pools; the one that takes shares is the first by priority of those that are alive."""
    entries = list(status.objects("pools"))
    pools = [_pool(entry) for entry in entries]
    alive = [
        (priority, pool)
        for entry, pool in zip(entries, pools, strict=True)
        if pool.url and pool.status == "working" and (priority := entry.numeral("priority")) is not None
    ]
    if alive:
        min(alive, key=lambda one: one[0])[1].status = "active"
    return pools


def _pool(pool: Fields) -> Pool:
    status = (pool.text("status") or "").lower()
    url, user = pool.text("url"), pool.text("user")
    printed, since = pool.text("diff"), pool.text("lstime")
    return Pool(
        number=_number(pool),
        # The fee's own entry has this for a name in place of an address.
        kind="DevFee" if url == user == "DevFee" else "UserPool",
        url=url,
        user=user,
        status=_STATUSES.get(status, "unknown") if status else None,
        accepted=pool.numeral("accepted"),
        rejected=pool.numeral("rejected"),
        stale=pool.numeral("stale"),
        accepted_difficulty=pool.numeral("diffa"),
        difficulty=None if printed is None else units.difficulty(printed),
        # 0 before the first share.
        last_share_difficulty=pool.numeral("lsdiff") or None,
        last_share_age=None if since is None else units.clock_seconds(since),
    )
