"""The source of a miner: which of the firmware's interfaces it speaks, found once and remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

from pydantic import SecretStr

from exporter.errors import ProbeError, Reason
from exporter.http import Client
from exporter.vnish.access import Access
from exporter.vnish.api_v1 import ApiV1
from exporter.vnish.cgi import Cgi
from exporter.vnish.reading import MinerReading
from exporter.vnish.simple import Simple

Api = Literal["auto", "v1", "simple", "cgi"]

# Failures that say the device speaks, but not this interface.
_OTHER_LANGUAGE = frozenset({Reason.NOT_JSON, Reason.BAD_SHAPE, Reason.HTTP_STATUS, Reason.STOCK_FIRMWARE})
# How far an interface came that failed: not answered, answered with anything, with JSON of another shape.
_REACH = {Reason.HTTP_STATUS: 1, Reason.UNAUTHORISED: 1, Reason.NOT_JSON: 1, Reason.BAD_SHAPE: 2}


class _Dialect(Protocol):
    async def read(self, client: Client) -> MinerReading: ...

    def forget(self) -> None: ...


class VnishSource:
    """Reads one miner. ``api="auto"`` tries the real interface first, then the simple shape, then the CGI.

    *algorithm* is what it mines where its interface cannot tell.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        api: Api = "auto",
        algorithm: str | None = None,
        access: Access | None = None,
        password: SecretStr | None = None,
        boards: bool = True,
        pools: bool = True,
        chips: bool = True,
        chips_interval: float = 0.0,
    ) -> None:
        self._dialects: dict[str, _Dialect] = {
            "v1": ApiV1(
                clock,
                access or Access(clock),
                boards=boards,
                pools=pools,
                chips=chips,
                chips_interval=chips_interval,
            ),
            "simple": Simple(
                clock, boards=boards, chips=chips, chips_interval=chips_interval, algorithm=algorithm
            ),
            "cgi": Cgi(clock, password=password, algorithm=algorithm, boards=boards, pools=pools),
        }
        self._candidates = list(self._dialects) if api == "auto" else [api]
        self._spoken: str | None = None

    async def read(self, client: Client) -> MinerReading:
        """One reading.

        Raises:
            ProbeError: the miner did not answer, or in none of the interfaces; then with the reason of the
                one that went furthest, the first of several.
        """
        if self._spoken:
            try:
                return await self._dialects[self._spoken].read(client)
            except ProbeError as error:
                # It may be another device or firmware next time: look again then, within a fresh deadline.
                self._dialects[self._spoken].forget()
                if error.reason in _OTHER_LANGUAGE:
                    self._spoken = None
                raise
        return await self._find(client)

    async def _find(self, client: Client) -> MinerReading:
        furthest: tuple[tuple[int, int], ProbeError] | None = None
        for name in self._candidates:
            if len(self._candidates) > 1 and furthest:
                # Old firmware guards every page alike with Digest, and has the CGI only; no other
                # interface is offered it.
                if (name == "cgi") != client.digest_wanted:
                    continue
                # That it wanted Digest is no answer to what was asked before.
                if name == "cgi":
                    furthest = None
            asked = len(client.steps)
            try:
                reading = await self._dialects[name].read(client)
            except ProbeError as error:
                # The last request is the one it failed at.
                good = sum(step.status == 200 and not step.problem for step in client.steps[asked:-1])
                reach = (good, _REACH.get(error.reason, 0))
                if furthest is None or reach > furthest[0]:
                    furthest = reach, error.bare()
                if error.reason not in _OTHER_LANGUAGE and not client.digest_wanted:
                    break
            else:
                self._spoken = name
                return reading
        raise furthest[1] if furthest else ProbeError(Reason.BAD_SHAPE, "no interface to try")
