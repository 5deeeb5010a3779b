"""The documents are true: written from the catalogue, naming every key, and their files exist."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from types import NoneType
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from exporter.catalogue import CATALOGUE
from exporter.config.load import load
from exporter.config.schema import Root
from exporter.pools import drivers
from exporter.pools.settings import PoolSettings
from exporter.simulator import cgi
from exporter.simulator.hardware import HARDWARE
from exporter.simulator.miner import SimMiner
from tests import firmware
from tests.conftest import ROOT

DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]


def test_the_metrics_page_is_what_the_catalogue_says() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "docs/build.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


def leaves(model: type[BaseModel], prefix: str) -> list[str]:
    found = []
    for name, field in model.model_fields.items():
        annotation: Any = field.annotation
        # The models of lists and mappings count as their sections.
        told = [one for one in get_args(annotation) if one is not NoneType]
        annotation = told[-1] if told else annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            found += leaves(annotation, f"{prefix}.{name}")
        else:
            found.append(f"{prefix}.{name}")
    return found


def test_every_key_is_documented() -> None:
    text = (ROOT / "docs/configuration.md").read_text()
    keys = leaves(Root, "")
    for key in keys:
        assert re.search(rf"`[\w.\[\]]*{re.escape(key.rpartition('.')[2])}`", text), key


def test_every_pool_has_its_page_with_every_key_of_its_own() -> None:
    text = (ROOT / "docs/pools.md").read_text()
    sections = dict(re.findall(r"^## (\S+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    for name, driver in drivers().items():
        for key in driver.Settings.model_fields.keys() - PoolSettings.model_fields.keys():
            assert f"`{key}`" in sections[name], f"{name}: {key}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(path: Any) -> None:
    for link in re.findall(r"\]\(((?!http)[^)#]+)", path.read_text()):
        assert (path.parent / link).exists(), link


def test_the_readmes_configuration_is_good(tmp_path: Any) -> None:
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    config = next(block for block in blocks if block.startswith("fleet:"))
    assert len(config.splitlines()) <= 10
    path = tmp_path / "config.yaml"
    path.write_text(config)
    (tmp_path / "litecoinpool.key").write_text("secret")
    found = load(path, {})
    assert len(found.fleet.all_miners()) == 2
    # And enough for `worker`.
    for account in found.pools:
        assert (
            account.driver.stratum(account.settings, "barn1-l9-01", "scrypt")["user"] == "YOURS.barn1-l9-01"
        )


def test_the_readmes_and_example_scrape_jobs_are_good(tmp_path: Any) -> None:
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"```yaml\n(scrape_configs.*?)```", readme, re.DOTALL)
    examples = [ROOT / "prometheus/examples" / name for name in ("single-target.yml", "vmagent.yml")]
    for number, text in enumerate([*blocks, *(path.read_text() for path in examples)]):
        path = tmp_path / f"{number}.yml"
        path.write_text(text)
        done = subprocess.run(
            ["promtool", "check", "config", path], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        for job in yaml.safe_load(text)["scrape_configs"]:
            assert job["job_name"].startswith("minefleet-"), "the rules look for it"


FIELDS: dict[str, str] = yaml.safe_load((ROOT / "docs/fields.yaml").read_text())


def fields(kind: Any, path: str) -> Iterator[str]:
    """The leaves of an answer type."""
    match kind:
        case firmware.Optional(inner) | firmware.Nullable(inner):
            yield from fields(inner, path)
        case firmware.Array(inner):
            yield from fields(inner, f"{path}[]")
        case firmware.OneOf(choices):
            for choice in choices:
                yield from fields(choice, path)
        case dict():
            for key, inner in kind.items():
                yield from fields(inner, f"{path}.{key}")
        case _:
            yield path


def covers(pattern: str, path: str) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


def printed(data: Any, path: str) -> Iterator[str]:
    """The leaves of an answer itself."""
    if isinstance(data, dict):
        for key, inner in data.items():
            yield from printed(inner, f"{path}.{key}")
    elif isinstance(data, list):
        for inner in data:
            yield from printed(inner, f"{path}[]")
    else:
        yield path


_L3 = SimMiner("m", HARDWARE["l3+"], 7, "account.m")
ALL_FIELDS = {
    *(
        path
        for version in ("1.2.7", "1.3.4")
        for name, kind in firmware.documents(version).items()
        for path in fields(kind, "chains" if name == "boards" else name)
    ),
    # Nobody wrote down what 3.9 prints.
    *printed(cgi.system_info(_L3), "get_system_info"),
    *printed(cgi.miner_status(_L3), "get_miner_status"),
}


def test_every_field_of_the_firmware_becomes_a_series_or_has_a_reason() -> None:
    assert len(ALL_FIELDS) > 150
    assert [path for path in ALL_FIELDS if not any(covers(pattern, path) for pattern in FIELDS)] == []
    for path, target in FIELDS.items():
        assert target.startswith("- ") or set(target.split(", ")) <= set(CATALOGUE), path
        if "." in path:
            assert any(covers(path, field) for field in ALL_FIELDS), f"{path} is of no document"


def test_every_series_of_the_miner_comes_from_a_field() -> None:
    named = {name for target in FIELDS.values() if not target.startswith("- ") for name in target.split(", ")}
    not_of_the_device = re.compile(
        r"\((probe|unlock\.unlock_timeout)\)$|\(summary\.miner\.chains\)$|simple interface\)$"
    )
    for name, metric in CATALOGUE.items():
        if name.startswith("vnish_") and not not_of_the_device.search(metric.help):
            assert name in named, name


def test_every_target_of_make_is_written_once_and_is_no_file() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z-]+):", text, re.MULTILINE)
    assert sorted(targets) == sorted(text.splitlines()[0].removeprefix(".PHONY: ").split())


def test_no_change_is_told_twice() -> None:
    entries = re.findall(
        r"^- .*?(?=^- |^#|\Z)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE | re.DOTALL
    )
    said = [" ".join(entry.split()) for entry in entries]
    assert [one for one in said if said.count(one) > 1] == []
