"""``demo`` as a process, in a network of its own: its ports are fixed. However it ends, nothing of it stays."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

# How long a condition may take to come true before the test gives up; nothing is measured with it.
PATIENCE_SECONDS = 120
INSIDE = ("unshare", "--net", "--map-root-user")


class Demo:
    """A demo in a network namespace, and what can be asked inside of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.environ = {**os.environ, "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
        command = f"ip link set lo up && exec {sys.executable} -m exporter demo --miners 2 --stack"
        with self.log.open("wb") as log:
            # Its own session, as a terminal gives it.
            self.process = subprocess.Popen(
                [*INSIDE, "sh", "-c", command],
                cwd=ROOT,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def text(self) -> str:
        return self.log.read_text()

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.05)

    def inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        enter = ("nsenter", "--target", str(self.process.pid), "--net", "--user", "--preserve-credentials")
        return subprocess.run(
            [*enter, *command], cwd=ROOT, env=self.environ, capture_output=True, text=True, check=False
        )

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.inside(sys.executable, "-m", "exporter", "demo", *arguments)

    def members(self) -> set[int]:
        """The processes of this network, whoever started them."""
        mine = set()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if f"TMPDIR={self.folder}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                    mine.add(int(folder.name))
            except OSError:
                continue
        return mine


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    if shutil.which("ip") is None or subprocess.run([*INSIDE, "true"], check=False).returncode:
        pytest.skip("needs a network of its own: ip, and the right to unshare")
    made = Demo(tmp_path)
    yield made
    for number in made.members():
        os.kill(number, signal.SIGKILL)
    made.process.wait()


def folders(demo: Demo) -> list[Path]:
    return [*demo.folder.glob("minefleet-demo-*")]


def test_it_prints_no_dead_link_and_no_hint_that_needs_more_than_is_there(demo: Demo) -> None:
    demo.until(lambda: "Ctrl-C stops everything" in demo.text())
    guide = demo.text()
    links = re.findall(r"http://127\.0\.0\.1:\d+/\S*", guide)
    assert len(links) >= 2
    fetch = (
        "import json,sys,urllib.request as u\n"
        "print(json.dumps([u.urlopen(url).headers.get_content_type() for url in sys.argv[1:]]))"
    )
    done = demo.inside(sys.executable, "-c", fetch, *links)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)) == {"text/html"}
    assert "curl" not in guide
    assert "ssh -L 10777:127.0.0.1:10777" in guide
    # The hints, as they stand.
    victim, fault = re.search(r"demo --break (\S+) (\S+)", guide).groups()  # type: ignore[union-attr]
    assert demo.command("--break", victim, fault).returncode == 0
    demo.until(lambda: ">>> Slack" in demo.text())
    assert victim in demo.text().partition(">>> Slack")[2]
    runbook = "http://localhost:10777/docs/runbook.md#minefleet"
    demo.until(lambda: runbook in demo.text().partition(">>> Slack")[2])
    if shutil.which("grafana") is None:
        assert "/d/minefleet" not in demo.text().partition(">>> Slack")[2], (
            "no link to a Grafana that is not there"
        )
    assert demo.command("--repair", victim).returncode == 0
    done = demo.command("--break", victim, "nonsense")
    assert done.returncode == 1
    assert "nonsense" in done.stderr
    # A second one says whose ports these are.
    done = demo.command("--miners", "2")
    assert done.returncode == 1
    number = re.search(r"a demo runs already, and ends with: kill (\d+)", done.stderr)
    assert number, done.stderr
    os.kill(int(number[1]), signal.SIGTERM)
    demo.until(lambda: demo.process.poll() is not None)
    assert demo.process.returncode == 0
    assert demo.members() == set()
    assert folders(demo) == []


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_however_it_ends_no_process_stays(demo: Demo, ending: signal.Signals) -> None:
    demo.until(lambda: "Ctrl-C stops everything" in demo.text())
    assert len(demo.members()) >= 4
    if ending is signal.SIGKILL and shutil.which("setpriv") is None:
        pytest.skip("setpriv is missing")
    # A terminal tells its whole group; the children are in sessions of their own.
    os.killpg(demo.process.pid, ending)
    demo.until(lambda: not demo.members())
    demo.process.wait()
    if ending is not signal.SIGKILL:
        assert demo.process.returncode == 0
        assert folders(demo) == []
        assert "Traceback" not in demo.text()
        return
    assert len(folders(demo)) == 1
    # The next one takes away what this one could not.
    again = subprocess.run(
        [*INSIDE, sys.executable, "-m", "exporter", "demo", "--stack", "/nowhere"],
        cwd=ROOT,
        env=demo.environ,
        capture_output=True,
        check=False,
    )
    assert again.returncode == 1
    assert folders(demo) == []
