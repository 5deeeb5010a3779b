"""YiiMP, the software many multi-coin pools run: any site of it by ``base_url``, and Mining-Dutch.

A site quotes what a hash of an algorithm earns, for everybody. An account is a wallet's address, without a
key; at Mining-Dutch (``dialect: mining_dutch``) it is a user with a key and pages of its own.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from exporter.address import Endpoint, address_of
from exporter.config.base import Integer, Positive
from exporter.errors import Reason
from exporter.pools import Context
from exporter.pools.settings import NamedSettings, Word, require_algorithm, require_listable
from exporter.pools.yiimp.mining_dutch import DutchSource
from exporter.pools.yiimp.wallet import WalletSource

MERGED = False
# What a person does about a reason at such a pool.
ADVICE = {
    Reason.EMPTY: "These pools say nothing when asked too often, for an address they do not know and for a"
    " locked account: look up the address on the pool's page, and ask from one place only.",
    Reason.UNKNOWN_ACCOUNT: "The pool does not take this address: compare it with the miners' user.",
    Reason.UNAUTHORISED: "At Mining-Dutch compare api_key and account_id with the account page. Elsewhere"
    " there is no key, and it is this machine the pool refuses: ask less, or from another address.",
    Reason.HTML: "The pool shows programs its web page now and then: wait; if it lasts, check base_url.",
    Reason.THROTTLED: "The pool wants 10 seconds between requests: let nothing else at this place ask it.",
    Reason.NO_DATA: "Nothing is known yet: give it a minute, and check that the pool has this algorithm.",
}
_DUTCH = "mining_dutch"
# What differs at a pool whose pages want to be read every ten minutes.
_DUTCH_DEFAULTS = {"max_age_minutes": 30.0, "rate_limit_requests_per_hour": 120}
_COIN_PAGES = {"LTC": "litecoin", "DOGE": "dogecoin"}

Stratum = Annotated[str, Field(pattern=r"^[a-z0-9+]+://[A-Za-z0-9.-]+:[0-9]{1,5}$")]
Ticker = Annotated[str, Field(pattern=r"^[A-Z0-9]{2,12}$")]


class Settings(NamedSettings):
    """The site, and the wallet's address or, at Mining-Dutch, the user's number and key.

    Without an address a YiiMP site is asked for its quotes only. ``coin_pages`` are Mining-Dutch's pages of
    the coins the user earns, ``page`` the one that lists the workers.
    """

    sync_interval_seconds: Annotated[Positive, Field(ge=30)] = 60.0
    rate_limit_requests_per_hour: Annotated[Integer, Field(gt=0)] = 300
    dialect: Literal["yiimp", "mining_dutch"] = "yiimp"
    algorithm: Literal["scrypt", "sha256d"] = "scrypt"
    address: Word | None = None
    offline_after_minutes: Positive = 60.0
    account_id: Annotated[Integer, Field(gt=0)] | None = None
    page: Word | None = None
    coin_pages: dict[Ticker, Word] = Field(default_factory=lambda: dict(_COIN_PAGES), max_length=8)
    hashrate_unit: Literal["H/s", "kH/s", "MH/s", "GH/s"] = "H/s"
    payout_coin: Ticker | None = None
    stratum_url: Stratum | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_the_dialect(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("dialect") == _DUTCH:
            return {**_DUTCH_DEFAULTS, **data}
        return data


def source(settings: Settings, context: Context) -> WalletSource | DutchSource:
    """A source for the account of *settings*.

    Raises:
        ValueError: a setting the dialect needs is missing, or one it does not have is there.
    """
    if settings.dialect == _DUTCH:
        key = settings.needed_key
        if settings.account_id is None:
            raise ValueError("expected account_id, the user's number on the pool's account page, found none")
        if settings.address is not None:
            raise ValueError(
                "expected account_id and a key, since mining_dutch knows no address, found address"
            )
        return DutchSource(
            Endpoint.parse(settings.base_url or "https://www.mining-dutch.nl"),
            key,
            context,
            account_id=settings.account_id,
            page=settings.page or ("scrypt" if settings.algorithm == "scrypt" else "sha256"),
            coin_pages=settings.coin_pages,
            algorithm=settings.algorithm,
            hashrate_unit=settings.hashrate_unit,
            every_seconds=settings.sync_interval_seconds,
            kept_seconds=settings.max_age_minutes * 60,
        )
    if settings.base_url is None:
        raise ValueError("expected base_url, the address of the pool's web site, found none")
    if settings.key is not None:
        raise ValueError("expected address, since a yiimp site knows no keys, found api_key")
    return WalletSource(
        Endpoint.parse(settings.base_url),
        context,
        address=settings.address,
        algorithm=settings.algorithm,
        every_seconds=settings.sync_interval_seconds,
        kept_seconds=settings.max_age_minutes * 60,
        offline_after_seconds=settings.offline_after_minutes * 60,
    )


def hosts(settings: Settings) -> tuple[str, ...]:
    """The site's own domain, under which its stratum servers are, and that of ``stratum_url``."""
    if settings.dialect == _DUTCH:
        return ("mining-dutch.nl",)
    found = []
    if settings.base_url:
        found.append(Endpoint.parse(settings.base_url).host.removeprefix("www."))
    if settings.stratum_url:
        found.append(settings.stratum_url.partition("://")[2].partition(":")[0])
    return tuple(host for host in found if address_of(host) is None)


def stratum(settings: Settings, worker: str, algorithm: str) -> dict[str, str]:
    """The settings of a worker.

    At a YiiMP site the user is the wallet's address, and the password says in which coin it is paid and what
    the worker is called; at Mining-Dutch the user is the account and the worker.

    Raises:
        ValueError: the configuration lacks what they are made of, the worker's name cannot stand in such a
            password, or the miner mines another algorithm than the account.
    """
    require_algorithm(algorithm, settings.algorithm)
    if settings.stratum_url is None:
        raise ValueError(f"expected stratum_url, the pool's server for {algorithm}")
    require_listable(worker)
    if settings.dialect == _DUTCH:
        user = f"{settings.needed_account}.{worker}"
        return {"url": settings.stratum_url, "user": user, "password": "x"}
    if settings.address is None:
        raise ValueError("expected address, the wallet the pool pays to")
    if settings.payout_coin is None:
        raise ValueError("expected payout_coin, the coin of the address, such as DOGE")
    return {
        "url": settings.stratum_url,
        "user": settings.address,
        "password": f"c={settings.payout_coin},ID={worker}",
    }
