"""scripts/bootstrap, with an apt-get and a Python that only look like ones: what it does to a machine."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Makes packages of what is asked for, and writes down what that was.
APT = """#!/bin/sh
echo "$*" >>"$RECORD"
[ "$1" = download ] || exit 0
for package in "$@"; do :; done
[ -z "${HOLD:-}" ] || { touch "$RECORD.held"; sleep 600; }
mkdir -p made/usr/bin made/DEBIAN
case $package in
    prometheus) names="prometheus promtool" ;;
    *) names="prometheus-alertmanager amtool" ;;
esac
for name in $names; do printf '#!/bin/sh\\necho %s\\n' $name >made/usr/bin/$name; chmod 755 made/usr/bin/$name; done
printf 'Package: %s\\nVersion: 1\\nArchitecture: all\\nMaintainer: nobody\\nDescription: none\\n' $package >made/DEBIAN/control
dpkg-deb -b made $package.deb >/dev/null
rm -r made
"""
# A python3 whose environments are two files; pip writes down what it was asked for.
PYTHON = """#!/bin/sh
case "$*" in
    "-m venv --clear "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" && touch "$4/pip" ;;
    *"import pip"*) [ -e "$(dirname "$0")/../pip" ] ;;
    *"import exporter"*) cat "$RECORD.exporter" 2>/dev/null ;;
    "-m pip install"*) echo "pip $*" >>"$RECORD"; echo "$PWD/exporter" >"$RECORD.exporter" ;;
esac
"""
Run = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is missing: not a Debian or Ubuntu")
    folder = tmp_path / "checkout"
    (folder / "scripts").mkdir(parents=True)
    (folder / "exporter").mkdir()
    shutil.copy(ROOT / "scripts/bootstrap", folder / "scripts")
    (folder / "pyproject.toml").touch()
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("apt-get", APT), ("python3", PYTHON)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    for name in (
        "sh",
        "cat",
        "cp",
        "chmod",
        "dirname",
        "dpkg-deb",
        "env",
        "id",
        "mkdir",
        "mv",
        "rm",
        "sleep",
        "tar",
        "tee",
        "touch",
    ):
        (programs / name).symlink_to(str(shutil.which(name)))
    return folder


def bootstrap(checkout: Path, kind: str = "demo", **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["scripts/bootstrap", kind],
        cwd=checkout,
        env={"PATH": str(checkout.parent / "bin"), "RECORD": str(checkout.parent / "record"), **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(checkout: Path, kind: str = "demo") -> str:
    process = bootstrap(checkout, kind)
    out, _ = process.communicate()
    assert process.returncode == 0, out
    return out


def recorded(checkout: Path) -> list[str]:
    record = checkout.parent / "record"
    return record.read_text().splitlines() if record.exists() else []


def test_no_service_is_installed(checkout: Path) -> None:
    run(checkout)
    asked = [line for line in recorded(checkout) if not line.startswith("pip")]
    assert [re.sub(r"-\S+ (\S+=\S+ )?", "", line) for line in asked] == [
        "download prometheus",
        "download prometheus-alertmanager",
    ]
    for name in ("prometheus", "promtool", "prometheus-alertmanager", "amtool"):
        assert os.access(checkout / ".venv/bin" / name, os.X_OK)
    assert not (checkout / ".venv/unpacked").exists()
    assert run(checkout) == "", "all is there"


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGKILL])
def test_broken_off_it_leaves_nothing_outside_and_goes_on_the_next_time(
    checkout: Path, ending: signal.Signals
) -> None:
    outside = {path for path in checkout.parent.rglob("*") if checkout not in path.parents}
    process = bootstrap(checkout, HOLD="1")
    held = checkout.parent / "record.held"
    while not held.exists():
        assert process.poll() is None
        time.sleep(0.01)
    # As a terminal does: everybody in it.
    os.killpg(process.pid, ending)
    process.communicate()
    assert process.returncode != 0
    left = {path for path in checkout.parent.rglob("*") if checkout not in path.parents} - outside
    assert {path.name for path in left} <= {"record", "record.held", "record.exporter"}
    run(checkout)
    assert os.access(checkout / ".venv/bin/promtool", os.X_OK)


def test_an_environment_that_was_broken_off_is_made_anew(checkout: Path) -> None:
    (checkout / ".venv/bin").mkdir(parents=True)
    (checkout / ".venv/bin/python").write_text("#!/bin/sh\nexit 1\n")
    (checkout / ".venv/bin/python").chmod(0o755)
    run(checkout)
    assert any(line.startswith("pip") for line in recorded(checkout))


def test_a_copy_of_the_source_is_replaced_by_the_source(checkout: Path) -> None:
    run(checkout)
    run(checkout)
    installs = [line for line in recorded(checkout) if line.startswith("pip")]
    assert len(installs) == 1
    # Somebody has run `pip install .` since.
    (checkout.parent / "record.exporter").write_text("/somewhere/site-packages/exporter\n")
    run(checkout)
    installs = [line for line in recorded(checkout) if line.startswith("pip")]
    assert len(installs) == 2
    assert installs[1].endswith(" -e .")
