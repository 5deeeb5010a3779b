"""scripts/bootstrap, with an apt-get and a Python that only look like ones: what it does to a machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Writes down what it was asked for, and what the policy says about services meanwhile.
APT = """#!/bin/sh
[ "$1" = install ] || { echo "$*" >>"$RECORD"; exit 0; }
for word; do
    case $word in
        -o) ;;
        DPkg::Post-Invoke::=*) after=${word#*=} ;;
        *) words="${words:+$words }$word" ;;
    esac
done
echo "$words" >>"$RECORD"
if [ -n "${HOLD:-}" ]; then
    touch "$RECORD.held"
    while ! [ -e "$RECORD.go" ]; do sleep 0.01; done
fi
"$MINEFLEET_POLICY"
echo "policy $?" >>"$RECORD"
sh -c "$after"
for name in prometheus promtool amtool; do cp "$0" "$(dirname "$0")/$name"; done
echo "apt is done" >>"$RECORD"
"""
HELPER = """#!/bin/sh
echo "disabled $2" >>"$RECORD"
"""
# A python3 whose environments are two files; pip writes down what it was asked for.
PYTHON = """#!/bin/sh
case "$*" in
    "-m venv --clear "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python" && touch "$4/pip" ;;
    *"import pip"*) [ -e "$(dirname "$0")/../pip" ] ;;
    *"import exporter"*) cat "$RECORD.exporter" 2>/dev/null ;;
    "-m pip install"*)
        echo "pip $*" >>"$RECORD"; echo "$PWD/exporter" >"$RECORD.exporter"
        # As a build does, in the folder it is made from.
        mkdir -p build minefleet_exporter.egg-info
        echo '#!/bin/sh' >"$(dirname "$0")/minefleet-exporter"
        chmod 755 "$(dirname "$0")/minefleet-exporter"
        [ -z "${HOLD_PIP:-}" ] || { touch "$RECORD.held"; sleep 600; }
        ;;
esac
"""
BORROWED = ("sh", "cat", "cp", "chmod", "dirname", "env", "grep", "id", "ln", "mkdir", "rm", "sleep", "touch")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    if os.geteuid() != 0:
        pytest.skip("installing packages needs root, or a sudo that asks nothing")
    folder = tmp_path / "checkout"
    (folder / "scripts").mkdir(parents=True)
    (folder / "exporter").mkdir()
    shutil.copy(ROOT / "scripts/bootstrap", folder / "scripts")
    (folder / "pyproject.toml").touch()
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("apt-get", APT), ("python3", PYTHON), ("deb-systemd-helper", HELPER)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    for name in BORROWED:
        (programs / name).symlink_to(str(shutil.which(name)))
    return folder


def bootstrap(checkout: Path, kind: str = "demo", **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["scripts/bootstrap", kind],
        cwd=checkout,
        env={
            "PATH": str(checkout.parent / "bin"),
            "RECORD": str(checkout.parent / "record"),
            "MINEFLEET_POLICY": str(checkout.parent / "policy-rc.d"),
            "MINEFLEET_ROOT": str(checkout.parent / "machine"),
            **environ,
        },
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


def test_services_neither_start_nor_stay_enabled(checkout: Path) -> None:
    run(checkout)
    lines = [line for line in recorded(checkout) if not line.startswith("pip")]
    assert list(dict.fromkeys(lines)) == [
        "update -qq",
        "install -y -qq --no-install-recommends prometheus prometheus-alertmanager",
        "policy 101",
        "disabled prometheus.service",
        "disabled prometheus-alertmanager.service",
        "apt is done",
    ]
    assert not (checkout.parent / "policy-rc.d").exists()
    assert run(checkout) == "", "all is there"


def test_a_policy_of_the_owners_stays(checkout: Path) -> None:
    policy = checkout.parent / "policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 104\n")
    policy.chmod(0o755)
    run(checkout)
    assert policy.read_text() == "#!/bin/sh\nexit 104\n"
    assert "policy 104" in recorded(checkout)


def break_off(process: subprocess.Popen[str], checkout: Path, ending: signal.Signals) -> None:
    """End a bootstrap where it is held."""
    held = checkout.parent / "record.held"
    while not held.exists():
        assert process.poll() is None
        time.sleep(0.01)
    # As a terminal does: everybody in it.
    os.killpg(process.pid, ending)
    process.communicate()
    assert process.returncode != 0


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGKILL])
def test_broken_off_it_leaves_no_policy_and_goes_on_the_next_time(
    checkout: Path, ending: signal.Signals
) -> None:
    break_off(bootstrap(checkout, HOLD="1"), checkout, ending)
    policy = checkout.parent / "policy-rc.d"
    if ending is signal.SIGKILL:
        # Asked by the next service that is installed, it makes way.
        assert subprocess.run([policy], check=False).returncode == 0
    assert not policy.exists()
    run(checkout)
    assert any(line.startswith("pip") for line in recorded(checkout))


def test_packages_that_are_installed_on_after_it_was_killed_start_nothing_either(checkout: Path) -> None:
    process = bootstrap(checkout, HOLD="1")
    held = checkout.parent / "record.held"
    while not held.exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.wait()
    (checkout.parent / "record.go").touch()
    while "apt is done" not in recorded(checkout):
        time.sleep(0.01)
    assert recorded(checkout)[-4:] == [
        "policy 101",
        "disabled prometheus.service",
        "disabled prometheus-alertmanager.service",
        "apt is done",
    ]
    assert not (checkout.parent / "policy-rc.d").exists()
    process.communicate()


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


def test_what_root_installs_leaves_nothing_in_the_source(checkout: Path) -> None:
    machine = checkout.parent / "machine"
    (machine / "usr/local/bin").mkdir(parents=True)
    before = sorted(checkout.rglob("*"))
    run(checkout, "install")
    assert (machine / "usr/local/bin/minefleet-exporter").exists()
    # Else `make demo`, as the user whose checkout it is, could not build.
    assert sorted(checkout.rglob("*")) == before


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_an_installation_that_is_broken_off_leaves_nothing(checkout: Path, ending: signal.Signals) -> None:
    machine = checkout.parent / "machine"
    (machine / "usr/local/bin").mkdir(parents=True)
    before = sorted(checkout.rglob("*"))
    break_off(bootstrap(checkout, "install", HOLD_PIP="1"), checkout, ending)
    assert list(machine.rglob("*minefleet*")) == []
    assert sorted(checkout.rglob("*")) == before
