"""``install-service``: a systemd unit that keeps ``serve`` running, printed or installed."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Collection, Iterable
from pathlib import Path

from exporter.cli.common import command, config_option, read_config
from exporter.config.load import ConfigError
from exporter.config.schema import Config

UNIT = "minefleet-exporter.service"
_TEMPLATE = Path(__file__).with_name(UNIT)
_FOLDER = Path("etc/minefleet")
_UNITS = Path("etc/systemd/system")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = command(
        commands,
        "install-service",
        "print a systemd unit for serve, or install and start it",
        """
        minefleet-exporter install-service                print the unit
        sudo minefleet-exporter install-service --write   config.yaml to /etc/minefleet, and start
        sudo systemctl reload minefleet-exporter          take over a changed configuration
        journalctl -u minefleet-exporter                  its log
        """,
    )
    config_option(parser)
    parser.add_argument(
        "--write",
        action="store_true",
        help=f"copy the configuration and its secrets to /{_FOLDER}, install the unit, enable and start it",
    )
    parser.add_argument("--root", type=Path, default=Path("/"), help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the unit, or install it; 1 if systemd refuses, 2 for a configuration it could not be run with."""
    config = read_config(arguments)
    file = Path(arguments.config_file).absolute()
    secrets = _credentials(config).values()
    if not arguments.write:
        print(unit(_program(), file, secrets), end="")
        return 0
    folder = arguments.root / _FOLDER
    faults = _obstacles(file, folder, config)
    if faults:
        raise ConfigError(faults)
    try:
        return _install(arguments.root, file, folder, secrets)
    except OSError as error:
        raise ConfigError(
            [f"{error.filename}: expected to be written, found {error.strerror}; run it with sudo"]
        ) from None


def unit(program: Path, config: Path, secrets: Iterable[str]) -> str:
    """The unit's text; *secrets* are the files with secrets, as the configuration names them."""
    lines = "".join(f"LoadCredential={Path(text).name}:{config.parent / text}\n" for text in sorted(secrets))
    return _TEMPLATE.read_text("utf-8").format(program=program, config=config, credentials=lines)


def _program() -> Path:
    return Path(sys.executable).with_name("minefleet-exporter")


def _credentials(config: Config) -> dict[str, str]:
    """The files with secrets, as written, by their last part, which is where the service finds them.

    Raises:
        ConfigError: two have the same name.
    """
    found: dict[str, str] = {}
    for text in config.secret_files:
        if found.setdefault(Path(text).name, text) != text:
            raise ConfigError(
                [f"{text}: expected a name of its own, since systemd knows a secret by its name"]
            )
    return found


def _obstacles(file: Path, folder: Path, config: Config) -> list[str]:
    """Why the service could not run with this, a line each."""
    found = []
    if config.secrets_in_place:
        found.append(
            f"{file}: expected secrets in files (password_file, api_key_file), since the service's"
            " configuration can be read by everybody on this machine, found some in it"
        )
    home = [Path("/home"), Path("/root"), Path("/run/user")]
    if any(_program().is_relative_to(path) for path in home):
        found.append(f"{_program()}: expected outside of home directories, which the service cannot see")
    if file != folder / file.name and (folder / file.name).exists():
        found.append(f"{folder / file.name}: is there already: edit it, and systemctl reload {UNIT}")
    if config.server.web_config_file and file.parent != folder:
        found.append(
            f"{file}: server.web_config_file: put both into {folder} first, and run this with"
            f" --config.file {folder / file.name}"
        )
    return found


def _install(root: Path, file: Path, folder: Path, secrets: Collection[str]) -> int:
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    if file == folder / file.name:
        file.chmod(0o644)
    else:
        for text in secrets:
            # One with an absolute path stays where it is.
            if not Path(text).is_absolute():
                (folder / text).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _put(folder / text, (file.parent / text).read_bytes(), 0o600)
        _put(folder / file.name, file.read_bytes(), 0o644)
    target = root / _UNITS / UNIT
    target.parent.mkdir(parents=True, exist_ok=True)
    _put(target, unit(_program(), folder / file.name, secrets).encode(), 0o644)
    print(f"Installed {target}; its configuration is {folder / file.name}.")
    if root != Path("/") or not Path("/run/systemd/system").is_dir():
        print(f"No systemd runs here; where one does: systemctl enable --now {UNIT}")
        return 0
    for words in (["daemon-reload"], ["enable", UNIT], ["restart", UNIT]):
        done = subprocess.run(["systemctl", *words], check=False)  # noqa: S603, S607 - root's own systemctl
        if done.returncode:
            print(f"See: journalctl -u {UNIT}", file=sys.stderr)
            return 1
    print(f"It runs: systemctl status {UNIT}")
    return 0


def _put(target: Path, content: bytes, mode: int) -> None:
    """Write a file whole, or not at all."""
    draft = target.with_name(f".{target.name}.new")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as stream:
            os.fchmod(stream.fileno(), mode)
            stream.write(content)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
