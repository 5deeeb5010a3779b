"""``install-service``: the unit is what systemd understands, and the service can read what it needs."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
import yaml

from exporter.cli import install_service, main
from exporter.config.load import ConfigError, load

CONFIG = {
    "fleet": {"miners": [{"address": "127.77.0.1", "name": "l9", "password_file": "miner.password"}]},
    "pools": [{"type": "litecoinpool", "api_key_file": "keys/pool.key"}],
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    (folder / "keys").mkdir(parents=True)
    (folder / "miner.password").write_text("hunter2")
    (folder / "keys/pool.key").write_text("pool-secret")
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(CONFIG))
    path.chmod(0o600)
    return path


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands outside of home directories, wherever the tests run."""
    program = tmp_path / "bin/minefleet-exporter"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr(install_service, "_program", lambda: program)
    return program


def test_the_printed_unit_is_what_systemd_understands(
    config: Path, program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["install-service", f"--config.file={config}"]) == 0
    text = capsys.readouterr().out
    assert f"ExecStart={program} serve --config.file={config}\n" in text
    assert f"LoadCredential=miner.password:{config.parent}/miner.password\n" in text
    assert f"LoadCredential=pool.key:{config.parent}/keys/pool.key\n" in text
    assert "hunter2" not in text
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is missing")
    unit = tmp_path / install_service.UNIT
    unit.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=20", unit],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "SYSTEMD_COLORS": "0"},
    )
    # The threshold is ten times the exposure; 2 of 10 is what systemd calls OK.
    assert done.returncode == 0, done.stdout[-300:]


def test_what_it_installs_is_whole(
    config: Path, program: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "machine"
    root.mkdir()
    assert main(["install-service", f"--config.file={config}", "--write", f"--root={root}"]) == 0
    folder = root / "etc/minefleet"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}
    assert modes == {"config.yaml": 0o644, "miner.password": 0o600, "keys": 0o700, "pool.key": 0o600}
    assert load(folder / "config.yaml", {}), "root can check it where it is"
    unit = (root / "etc/systemd/system" / install_service.UNIT).read_text()
    assert f"--config.file={folder}/config.yaml" in unit
    assert f"LoadCredential=pool.key:{folder}/keys/pool.key" in unit
    assert "systemctl enable --now" in capsys.readouterr().out
    # As the service finds them: not beside the file, where only root may read, but where systemd puts them.
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    for name, path in re.findall(r"LoadCredential=(.*):(.*)", unit):
        shutil.move(path, credentials / name)
    with pytest.raises(ConfigError):
        load(folder / "config.yaml", {})
    found = load(folder / "config.yaml", {"CREDENTIALS_DIRECTORY": str(credentials)})
    [miner] = found.fleet.all_miners()
    assert miner.password_file
    assert miner.password_file.get_secret_value() == "hunter2"
    # A second time it is edited in its place.
    assert main(["install-service", f"--config.file={config}", "--write", f"--root={root}"]) == 2
    assert f"{folder}/config.yaml: is there already" in capsys.readouterr().err


def test_what_the_service_could_not_run_with_is_a_line_and_nothing_is_written(
    config: Path,
    program: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = tmp_path / "machine"
    root.mkdir()
    install = ["install-service", f"--config.file={config}", "--write", f"--root={root}"]

    def refused() -> str:
        assert main(install) == 2
        assert [*root.iterdir()] == []
        return capsys.readouterr().err

    changed = {**CONFIG, "pools": [{"type": "litecoinpool", "api_key": "hunter3"}]}
    config.write_text(yaml.safe_dump(changed))
    err = refused()
    assert "expected secrets in files" in err
    assert "hunter3" not in err
    other = config.parent / "other"
    other.mkdir()
    (other / "miner.password").write_text("another")
    changed = {**CONFIG, "pools": [{"type": "litecoinpool", "api_key_file": "other/miner.password"}]}
    config.write_text(yaml.safe_dump(changed))
    assert "expected a name of its own" in refused()
    config.write_text(yaml.safe_dump(CONFIG))
    monkeypatch.setattr(install_service, "_program", lambda: Path("/home/me/.venv/bin/minefleet-exporter"))
    assert "expected outside of home directories" in refused()
