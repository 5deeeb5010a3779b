"""The log: forms, level, rotation, and no secrets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from exporter import logs
from exporter.config.schema import Logging


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        if handler not in handlers:
            handler.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)
    structlog.reset_defaults()


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


def test_json_lines_with_level_time_and_fields(tmp_path: Path) -> None:
    path = tmp_path / "log"
    logs.configure(Logging(format="json", file=str(path)))
    log = structlog.get_logger("probe")
    log.debug("not at this level")
    log.warning("target down", target="l9", reason="timeout", password="hunter2")
    logging.getLogger("aiohttp").info("chatter")
    [line] = lines(path)
    event = json.loads(line)
    assert event["event"] == "target down"
    assert (event["level"], event["target"], event["reason"]) == ("warning", "l9", "timeout")
    assert event["timestamp"].endswith("Z")
    assert event["password"] == "<secret>"


@pytest.mark.parametrize(
    ("form", "expected"), [("logfmt", 'event="target down"'), ("console", "target down")]
)
def test_other_forms(tmp_path: Path, form: str, expected: str) -> None:
    path = tmp_path / "log"
    logs.configure(Logging(format=form, file=str(path)))  # type: ignore[arg-type]
    structlog.get_logger("probe").warning("target down", target="l9")
    [line] = lines(path)
    assert expected in line
    assert "l9" in line
    assert "\x1b[" not in line, "no colour in a file"


def test_the_file_rotates_and_keeps_as_many_as_told(tmp_path: Path) -> None:
    path = tmp_path / "log"
    logs.configure(Logging(format="json", file=str(path), max_size_mb=0.001, backup_count=2))
    log = structlog.get_logger("probe")
    for number in range(100):
        log.warning("target down", number=number)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    assert all(file.stat().st_size <= 1000 for file in tmp_path.iterdir())
    assert json.loads(lines(path)[-1])["number"] == 99


def test_an_exception_is_one_line_of_json(tmp_path: Path) -> None:
    path = tmp_path / "log"
    logs.configure(Logging(format="json", file=str(path)))
    try:
        raise KeyError("hashrate")
    except KeyError:
        structlog.get_logger("probe").exception("defect while reading", target="l9")
    [line] = lines(path)
    assert "KeyError" in json.loads(line)["exception"]


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        logs.configure(Logging(file=str(tmp_path / "nowhere" / "log")))
