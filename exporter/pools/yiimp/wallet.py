"""A wallet at a YiiMP site, ``GET /api/walletEx?address=A``, or ``/api/wallet`` where that is not offered.

``balance`` can be paid out, ``unsold`` is not yet exchanged, both in the payout coin (``currency``, at some
sites ``symbol``; ``INVALID`` for an address that is none). ``paid24h`` is what was paid out, not income, and
``total`` a sum with it: neither is read. ``paidtotal`` and ``payouts`` exist at some sites; their times are
Unix seconds and may be text.

``miners`` lists logins that are connected now. ``accepted`` and ``rejected`` are not numbers of shares but
hashes per second over the last five minutes; every version of the software counts 2^42/1000 hashes for a
difficulty of 1, which is 2^32 hashes, and so 2.4 % too many: they are taken off here. A
worker's name is its ``ID``, else the first word of its ``password`` that is no option; several logins may
share one and are added. Nothing tells of a last share. Sites answer a caller who is too quick, an
address they do not know and a locked account alike: status 200 and nothing. Source: the software's own API
controller, a recorded answer, and public clients of several sites.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from exporter.address import Endpoint
from exporter.errors import ProbeError, Reason
from exporter.fields import Fields
from exporter.http import Client
from exporter.pools import Context, PoolSource
from exporter.pools.answers import noted
from exporter.pools.parts import Parts
from exporter.pools.reading import Coin, Network, PoolReading, Worker
from exporter.pools.workers import Seen, bounded
from exporter.pools.yiimp.site import ALGORITHMS, Status, ask_site, networks, status
from exporter.units import clean, hashrate

# Sites allow six to ten requests a minute of each kind.
_REPEAT_SECONDS = 10.0
_STATUS_SECONDS = 60.0
_CURRENCIES_SECONDS = 300.0
_MOST_MINERS = 20_000
# Hashes there are in what the software counts as one.
_TRUE_HASHES = 2.0**32 / (2.0**42 / 1000)
_MOST_PAYOUTS = 500
# Where a wallet is found: the next is tried where a site says that it has not the one before, and kept to for
# an hour.
_PATHS = ("/api/walletEx", "/api/wallet", "/api/wallet/")
_PATH_SECONDS = 3600.0
_NOT_HERE = (301, 302, 307, 308, 404, 410)


@dataclass(slots=True)
class Wallet:
    """A wallet's coin, and its logins by worker; *hashrate* is that of all, of those without a name too.

    *listed* is whether the site lists logins at all.
    """

    ticker: str | None = None
    coin: Coin = field(default_factory=Coin)
    listed: bool = False
    workers: dict[str, Worker] = field(default_factory=dict)
    nameless: int = 0
    hashrate: float | None = None


class WalletSource(PoolSource):
    """Reads one site and, if there is an address, one wallet of it."""

    def __init__(
        self,
        endpoint: Endpoint,
        context: Context,
        *,
        address: str | None,
        algorithm: str,
        every_seconds: float,
        kept_seconds: float,
        offline_after_seconds: float,
    ) -> None:
        self.endpoint = endpoint
        self._address = address
        self._algorithm = algorithm
        self._every_seconds = every_seconds
        self._wall_clock = context.wall_clock
        self._parts = Parts(
            context.clock, kept_seconds=kept_seconds, repeat_seconds=_REPEAT_SECONDS, sleep=context.sleep
        )
        self._seen = Seen(context.clock, offline_after_seconds)
        self._clock = context.clock
        self._first_path = 0
        self._path_found = 0.0

    async def read(self, client: Client) -> PoolReading:
        """One reading; at most four requests, each of its kind at most every ten seconds.

        Raises:
            ProbeError: the wallet could not be read, or, without an address, the quotes; ``no_data`` if the
                site quotes nothing either.
        """
        found = PoolReading()
        odd = found.unexpected
        parts = self._parts

        async def ask_status(client: Client) -> Status:
            return status(await ask_site(client, "/api/status"), odd)

        async def ask_currencies(client: Client) -> dict[str, Network]:
            return networks(await ask_site(client, "/api/currencies"), self._algorithm, odd)

        quotes: Status | None
        if self._address is None:
            quotes = await parts.required(client, "status", _STATUS_SECONDS, ask_status)
            if not quotes.profitability:
                raise ProbeError(Reason.NO_DATA, "the site quotes nothing for the algorithms of these miners")
        else:
            wallet = await parts.required(
                client, "wallet", self._every_seconds, partial(self._wallet, self._address, odd)
            )
            self._account(found, wallet)
            quotes = await parts.optional(client, "status", _STATUS_SECONDS, ask_status)
        coins = await parts.optional(client, "currencies", _CURRENCIES_SECONDS, ask_currencies)
        if quotes is not None:
            found.profitability = list(quotes.profitability)
            found.fee_ratio = quotes.fee_ratio.get(self._algorithm)
        if coins is not None:
            found.networks = dict(coins)
        for kind, part in (("account", "wallet"), ("profitability", "status")):
            age = parts.age(part)
            if age is not None:
                found.dated[kind] = self._wall_clock() - age
        found.parts = parts.up
        return found

    async def _wallet(self, address: str, odd: Counter[str], client: Client) -> Wallet:
        if self._clock() - self._path_found > _PATH_SECONDS:
            self._first_path = 0
        number = self._first_path
        while True:
            try:
                data = await ask_site(client, _PATHS[number], {"address": address})
                break
            except ProbeError:
                number += 1
                if number == len(_PATHS) or client.steps[-1].status not in _NOT_HERE:
                    raise
        if number != self._first_path:
            self._first_path, self._path_found = number, self._clock()
        try:
            return wallet_of(data, self._algorithm, odd)
        except ProbeError as error:
            noted(client, error)
            raise

    def _account(self, found: PoolReading, wallet: Wallet) -> None:
        if wallet.ticker is not None:
            found.coins[wallet.ticker] = wallet.coin
        if wallet.hashrate is not None:
            found.hashrate["now"] = wallet.hashrate
        if not wallet.listed:
            return
        away = self._seen.gone(wallet.workers)
        found.workers, found.workers_cut = bounded(
            [(name, partial(_listed, wallet.workers)) for name in wallet.workers]
            + [(name, partial(Worker, online=False)) for name in away]
        )
        found.workers_cut += wallet.nameless
        found.workers_online = len(wallet.workers) + wallet.nameless
        found.workers_offline = len(away)


def _listed(workers: Mapping[str, Worker], name: str) -> Worker:
    return workers[name]


def wallet_of(data: dict[str, Any], algorithm: str, odd: Counter[str]) -> Wallet:
    """A site's answer as a wallet.

    Raises:
        ProbeError: ``unknown_account`` for an address that is none, ``pool_error`` or ``bad_shape`` for an
            answer without a wallet.
    """
    fields = Fields(data, "wallet", odd)
    ticker = (fields.text("currency") or fields.text("symbol") or "").upper()
    if ticker == "INVALID":
        raise ProbeError(Reason.UNKNOWN_ACCOUNT, "the pool takes the address for invalid")
    if not any(key in data for key in ("balance", "unsold", "unpaid", "currency", "symbol", "miners")):
        failed = isinstance(data.get("error"), str)
        raise ProbeError(
            Reason.POOL_ERROR if failed else Reason.BAD_SHAPE,
            "the pool reports an error instead of the wallet" if failed else "the answer is not a wallet",
        )
    found = Wallet()
    if re.fullmatch(r"[A-Z0-9]{1,12}", ticker):
        found.ticker = ticker
    elif ticker:
        fields.odd("currency")
    coin = found.coin
    coin.balance_confirmed = fields.numeral("balance")
    coin.balance_unconfirmed = fields.numeral("unsold")
    coin.paid_total = fields.numeral("paidtotal")
    for one in fields.objects("payouts", _MOST_PAYOUTS):
        if time := one.numeral("time"):
            coin.paid_at(time, one.numeral("amount"))
    if isinstance(data.get("miners"), list):
        found.listed = True
        _miners(found, fields, algorithm)
    return found


def _miners(found: Wallet, fields: Fields, algorithm: str) -> None:
    total: float | None = None
    rows = 0
    for row in fields.objects("miners", _MOST_MINERS):
        if ALGORITHMS.get((row.text("algo") or "").lower()) != algorithm:
            continue
        rows += 1
        accepted, rejected = (_hashes(row.numeral(key)) for key in ("accepted", "rejected"))
        rate = accepted
        printed = row.raw("hashrate")
        if rate is None and isinstance(printed, str):
            rate = hashrate(printed)
        total = _plus(total, rate)
        name = clean(row.text("ID") or _first_word(row.raw("password")))
        if not name:
            found.nameless += 1
            continue
        worker = found.workers.setdefault(name, Worker(name, online=True))
        if rate is not None:
            worker.hashrate["now"] = worker.hashrate.get("now", 0.0) + rate
        worker.rate_accepted = _plus(worker.rate_accepted, accepted)
        worker.rate_rejected = _plus(worker.rate_rejected, rejected)
    # Who lists nobody says that nobody hashes; rows without a rate say nothing.
    found.hashrate = total if rows else 0.0


def _hashes(counted: float | None) -> float | None:
    return None if counted is None else counted * _TRUE_HASHES


def _plus(so_far: float | None, more: float | None) -> float | None:
    return so_far if more is None else more + (so_far or 0.0)


def _first_word(password: Any) -> str:
    """``"rig1,c=DOGE"`` to ``"rig1"``: what is left of a password without its options."""
    if not isinstance(password, str):
        return ""
    words = (word.strip() for word in password[:512].split(","))
    return next((word for word in words if word and "=" not in word), "")
