"""Settings that several drivers share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from exporter.pools.settings import (
    KeyedSettings,
    MinutelySettings,
    NamedSettings,
    PoolSettings,
    require_algorithm,
    require_listable,
)


@pytest.mark.parametrize(
    "wrong",
    [
        {"base_url": "pool.example"},
        {"base_url": "ftp://pool.example"},
        {"base_url": "http://"},
        {"stratum_hosts": ["a b"]},
        {"fee_percent": 100},
        {"rate_limit_requests_per_hour": 0},
        {"sync_interval_seconds": 0},
        {"name": ""},
    ],
)
def test_what_no_account_has_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PoolSettings(**wrong)


@pytest.mark.parametrize("url", ["http://127.0.0.1:3000", "https://pool.example/api"])
def test_a_base_url_is_kept_as_written(url: str) -> None:
    assert PoolSettings(base_url=url).base_url == url


def test_a_base_url_without_its_scheme_says_what_is_expected() -> None:
    with pytest.raises(ValidationError, match=r"expected http://host\[:port\] or https://host\[:port\]"):
        PoolSettings(base_url="pool.example")


def test_a_key_stands_in_one_place(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("from-file")
    assert KeyedSettings().key is None
    for given, expected in (({"api_key": "direct"}, "direct"), ({"api_key_file": str(file)}, "from-file")):
        settings = KeyedSettings(**given)  # type: ignore[arg-type]
        assert settings.key
        assert settings.key.get_secret_value() == settings.needed_key.get_secret_value() == expected
    with pytest.raises(ValidationError, match="expected api_key or api_key_file, found both"):
        KeyedSettings(api_key="a", api_key_file=str(file))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"^expected api_key or api_key_file, found neither$"):
        _ = KeyedSettings().needed_key


def test_an_account_that_needs_a_name_says_so() -> None:
    assert NamedSettings(account="D.w").needed_account == "D.w"
    with pytest.raises(ValueError, match=r"^expected account, the name of the account at the pool$"):
        _ = NamedSettings().needed_account


def test_a_pool_may_want_a_minute_between_readings() -> None:
    assert PoolSettings().pause_seconds == 0.0
    assert MinutelySettings().pause_seconds == 60.0
    with pytest.raises(ValidationError):
        MinutelySettings(sync_interval_seconds=59)


def test_a_miner_of_another_algorithm_is_refused() -> None:
    require_algorithm("scrypt", "scrypt")
    with pytest.raises(ValueError, match=r"^expected a miner of scrypt, found sha256d$"):
        require_algorithm("sha256d", "scrypt")


@pytest.mark.parametrize("worker", ["", "a,b", "a b", "a=b", "ä"])
def test_a_name_that_would_be_an_option_is_refused(worker: str) -> None:
    require_listable("Rig_1.a-b")
    words = r"^expected a worker name of letters, digits, dots, dashes and underscores, found "
    with pytest.raises(ValueError, match=words):
        require_listable(worker)
