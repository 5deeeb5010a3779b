"""What each driver offers besides its readings: where it asks, whose miners are its own, what they are set to."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from exporter.pools import Account, Context, drivers

LITECOINPOOL = {"type": "litecoinpool", "account": "me", "api_key": "k"}
VIABTC = {"type": "viabtc", "account": "me", "api_key": "k"}
F2POOL = {"type": "f2pool", "account": "me"}
F2POOL_TOKEN = {**F2POOL, "api_key": "k"}
POWERPOOL = {"type": "powerpool", "account": "me", "api_key": "k", "stratum_url": "stratum+tcp://a.example:1"}
PROHASHING = {"type": "prohashing", "account": "me"}
YIIMP = {
    "type": "yiimp",
    "base_url": "https://www.zpool.ca",
    "address": "DWallet",
    "payout_coin": "DOGE",
    "stratum_url": "stratum+tcp://scrypt.mine.zpool.ca:3433",
}
MINING_DUTCH = {
    "type": "yiimp",
    "dialect": "mining_dutch",
    "account": "me",
    "account_id": 7,
    "api_key": "k",
    "stratum_url": "stratum+tcp://europe.mining-dutch.nl:9999",
}


def one(section: dict[str, Any], **changes: Any) -> Account:
    """An account of *section* with *changes*, of which ``None`` takes a key away."""
    given = {key: value for key, value in (section | changes).items() if value is not None}
    kind = given.pop("type")
    return Account(kind, drivers()[kind].Settings(**given))


@pytest.mark.parametrize(
    ("section", "url"),
    [
        pytest.param(LITECOINPOOL, "https://www.litecoinpool.org", id="litecoinpool"),
        pytest.param(VIABTC, "https://www.viabtc.net", id="viabtc"),
        pytest.param(F2POOL, "https://api.f2pool.com", id="f2pool"),
        pytest.param(F2POOL_TOKEN, "https://api.f2pool.com", id="f2pool-token"),
        pytest.param(POWERPOOL, "https://api.powerpool.io", id="powerpool"),
        pytest.param(PROHASHING, "localhost:3000", id="prohashing"),
        pytest.param(MINING_DUTCH, "https://www.mining-dutch.nl", id="mining_dutch"),
    ],
)
def test_where_a_pool_is_asked(section: dict[str, Any], url: str) -> None:
    for base_url, expected in (
        (None, url),
        ("https://elsewhere.example/base", "https://elsewhere.example/base"),
    ):
        account = one(section, base_url=base_url)
        assert str(account.driver.source(account.settings, Context()).endpoint) == expected


@pytest.mark.parametrize(
    ("section", "host"),
    [
        pytest.param(LITECOINPOOL, "eu.litecoinpool.org", id="litecoinpool"),
        *(
            pytest.param(VIABTC, f"ltc.viabtc.{ending}", id=f"viabtc-{ending}")
            for ending in ("io", "com", "net", "top")
        ),
        pytest.param(F2POOL, "ltc-euro.f2pool.com", id="f2pool"),
        pytest.param(POWERPOOL, "scrypt.stratum.powerpool.io", id="powerpool"),
        pytest.param(PROHASHING, "us.mining.prohashing.com", id="prohashing"),
        pytest.param(YIIMP, "scrypt.eu.mine.zpool.ca", id="yiimp"),
        pytest.param(MINING_DUTCH, "europe.mining-dutch.nl", id="mining_dutch"),
    ],
)
def test_whose_miners_are_its_own(section: dict[str, Any], host: str) -> None:
    assert one(section).mined_at(f"{host}:3333")
    assert not one(section).mined_at(f"{host}.thief.example:3333")
    assert not one(section).mined_at("pool.example:3333")


@pytest.mark.parametrize(
    ("section", "algorithm", "url", "user", "password"),
    [
        pytest.param(
            *(LITECOINPOOL, "scrypt", "stratum+tcp://litecoinpool.org:3333", "me.barn1-l9", "x"),
            id="litecoinpool",
        ),
        pytest.param(
            *(VIABTC, "scrypt", "stratum+tcp://ltc.viabtc.io:3333", "me.barn1-l9", "123"), id="viabtc"
        ),
        pytest.param(
            *(F2POOL, "scrypt", "stratum+tcp://ltc.f2pool.com:3335", "me.barn1-l9", "x"), id="f2pool"
        ),
        pytest.param(*(POWERPOOL, "scrypt", "stratum+tcp://a.example:1", "me.barn1-l9", "x"), id="powerpool"),
        pytest.param(
            *(POWERPOOL | {"algorithm": "sha256d"}, "sha256d"),
            *("stratum+tcp://a.example:1", "me.barn1-l9", "x"),
            id="powerpool-sha256d",
        ),
        pytest.param(
            *(PROHASHING, "scrypt", "stratum+tcp://us.mining.prohashing.com:3333"),
            *("me", "a=scrypt,n=barn1-l9"),
            id="prohashing",
        ),
        pytest.param(
            *(PROHASHING | {"static_difficulty": 65536}, "sha256d"),
            *("stratum+tcp://us.mining.prohashing.com:3333", "me", "a=sha-256,n=barn1-l9,d=65536"),
            id="prohashing-sha256d",
        ),
        pytest.param(
            *(YIIMP, "scrypt", "stratum+tcp://scrypt.mine.zpool.ca:3433", "DWallet", "c=DOGE,ID=barn1-l9"),
            id="yiimp",
        ),
        pytest.param(
            *(MINING_DUTCH, "scrypt", "stratum+tcp://europe.mining-dutch.nl:9999", "me.barn1-l9", "x"),
            id="mining_dutch",
        ),
    ],
)
def test_what_to_type_into_a_miner(
    section: dict[str, Any], algorithm: str, url: str, user: str, password: str
) -> None:
    account = one(section)
    typed = account.driver.stratum(account.settings, "barn1-l9", algorithm)
    assert typed == {"url": url, "user": user, "password": password}
    elsewhere = one(section, stratum_url="stratum+tcp://b.example:2")
    typed = elsewhere.driver.stratum(elsewhere.settings, "barn1-l9", algorithm)
    assert typed["url"] == "stratum+tcp://b.example:2"


NO_ACCOUNT = "expected account, the name of the account at the pool"
NO_LIST = "expected a worker name of letters, digits, dots, dashes and underscores, found 'a,c=BTC'"


@pytest.mark.parametrize(
    ("section", "worker", "algorithm", "words"),
    [
        *(
            pytest.param(section, "w", algorithm, words, id=f"{section['type']}-{algorithm}")
            for section in (LITECOINPOOL, VIABTC, F2POOL, POWERPOOL, YIIMP)
            for algorithm, words in (
                ("sha256d", "expected a miner of scrypt, found sha256d"),
                ("blake2b", "expected a miner of scrypt, found blake2b"),
            )
        ),
        *(
            pytest.param(section | {"account": None}, "w", "scrypt", NO_ACCOUNT, id=f"{name}-nobody")
            for name, section in (
                *(("litecoinpool", LITECOINPOOL), ("viabtc", VIABTC), ("f2pool", F2POOL)),
                *(("powerpool", POWERPOOL), ("prohashing", PROHASHING), ("mining_dutch", MINING_DUTCH)),
            )
        ),
        *(
            pytest.param(section, "a,c=BTC", "scrypt", NO_LIST, id=f"{name}-list")
            for name, section in (("prohashing", PROHASHING), ("yiimp", YIIMP))
        ),
        pytest.param(
            *(POWERPOOL | {"stratum_url": None}, "w", "scrypt"),
            "expected stratum_url, the pool's server and port as its page shows them",
            id="powerpool-nowhere",
        ),
        pytest.param(
            *(YIIMP | {"stratum_url": None}, "w", "scrypt"),
            "expected stratum_url, the pool's server for scrypt",
            id="yiimp-nowhere",
        ),
        pytest.param(
            *(YIIMP | {"address": None}, "w", "scrypt"),
            "expected address, the wallet the pool pays to",
            id="yiimp-nobody",
        ),
        pytest.param(
            *(YIIMP | {"payout_coin": None}, "w", "scrypt"),
            "expected payout_coin, the coin of the address, such as DOGE",
            id="yiimp-unpaid",
        ),
    ],
)
def test_what_cannot_be_typed_is_told_in_words(
    section: dict[str, Any], worker: str, algorithm: str, words: str
) -> None:
    account = one(section)
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        account.driver.stratum(account.settings, worker, algorithm)


NO_KEY = "expected api_key or api_key_file, found neither"


@pytest.mark.parametrize(
    ("section", "words"),
    [
        *(
            pytest.param(section | {"api_key": None}, NO_KEY, id=name)
            for name, section in (
                *(("litecoinpool", LITECOINPOOL), ("viabtc", VIABTC), ("powerpool", POWERPOOL)),
                ("mining_dutch", MINING_DUTCH),
            )
        ),
        pytest.param(
            F2POOL | {"account": None}, "expected account, the mining user name at the pool", id="f2pool"
        ),
        pytest.param(
            MINING_DUTCH | {"account_id": None},
            "expected account_id, the user's number on the pool's account page, found none",
            id="mining_dutch-number",
        ),
        pytest.param(
            MINING_DUTCH | {"address": "D"},
            "expected account_id and a key, since mining_dutch knows no address, found address",
            id="mining_dutch-address",
        ),
        pytest.param(
            YIIMP | {"base_url": None},
            "expected base_url, the address of the pool's web site, found none",
            id="yiimp",
        ),
        pytest.param(
            YIIMP | {"api_key": "k"},
            "expected address, since a yiimp site knows no keys, found api_key",
            id="yiimp-key",
        ),
    ],
)
def test_what_makes_no_account_is_told_in_words(section: dict[str, Any], words: str) -> None:
    account = one(section)
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        account.driver.source(account.settings, Context())


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://pool.example", id="prohashing-http"),
        pytest.param("ws://pool.example:0", id="prohashing-port"),
    ],
)
def test_a_real_time_interface_is_a_web_socket(url: str) -> None:
    with pytest.raises(ValidationError) as caught:
        one(PROHASHING, wamp_url=url)
    [error] = caught.value.errors()
    assert error["msg"] == "Value error, expected ws://host[:port][/path] or wss://host[:port][/path]"


@pytest.mark.parametrize(
    ("environ", "changes", "endpoint"),
    [
        pytest.param({"PROHASHING_SERVER_HOST": "relay"}, {}, "relay:3000", id="prohashing-host"),
        pytest.param({"PROHASHING_SERVER_PORT": "3001"}, {}, "localhost:3001", id="prohashing-port"),
        pytest.param({"PROHASHING_SERVER_HOST": "relay"}, {"base_url": "http://b"}, "b", id="prohashing-url"),
    ],
)
def test_where_a_relay_is_its_own_environment_says(
    environ: dict[str, str], changes: dict[str, Any], endpoint: str
) -> None:
    account = one(PROHASHING, **changes)
    assert str(account.driver.source(account.settings, Context(environ)).endpoint) == endpoint
