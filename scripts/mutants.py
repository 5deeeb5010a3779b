"""Say what share of the mutants the tests kill: scripts/mutants.py [--survivors] [FILE_OR_FOLDER ...]

Each room of ``ROOMS`` is run in a folder of its own under ``mutants/``, a copy of the code and the tests, so
that work goes on meanwhile. A run that was stopped goes on where it was; what is named is run anew, or with
``--survivors`` only those of its mutants that no test has killed so far.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "mutants"
WANTED = 0.9
COLLECTED = (sys.executable, str(ROOT / "scripts/mutmut_collected.py"))
# By how the child of a mutant ended. All others are killed: a mutant that makes a test crash is noticed like
# one that makes it fail. What was ended by the clock may have waited for ever, or for a busy machine.
STATES = {
    0: "survived",
    None: "not checked",
    2: "not checked",
    5: "no tests",
    33: "no tests",
} | dict.fromkeys((-24, 24, 36, 152, 255), "timeout")

# What is changed, and the tests that belong to it: all that reach it would take days.
_POOLS = "tests/pools/test_"
# Words of the names of tests with hundreds of mangled answers, thousands of workers, or hours of scrapes.
_LONG = (
    "mangled",
    "thousand",
    "without_end",
    "nobody_would_choose",
    "hours",
    "hammered",
    "scrapes_with",
    "longer_scrape",
    "pool_that_refuses",
)
_SHARED = ("__init__", "answers", "budget", "figures", "parts", "reading", "settings", "workers")
ROOMS: dict[str, tuple[list[str], list[str]]] = {
    "breaker": (["exporter/breaker.py"], ["tests/test_breaker.py"]),
    "units": (["exporter/units.py"], ["tests/test_units.py"]),
    "plausible": (["exporter/plausible.py"], ["tests/test_plausible.py"]),
    "probe": (["exporter/probe.py"], ["tests/test_probe.py"]),
    "fleet": (["exporter/fleet.py"], ["tests/test_fleet.py"]),
    "address": (["exporter/address.py"], ["tests/test_http.py"]),
    # Without the random texts, which are for addresses and take long.
    "http": (["exporter/http.py"], ["tests/test_http.py", "tests/test_tls.py", "-k", "not no_text"]),
    "vnish-metrics": (["exporter/vnish/metrics.py"], ["tests/vnish/test_metrics.py"]),
    "pools-metrics": (["exporter/pools/metrics.py"], [f"{_POOLS}metrics.py"]),
    "pools": (
        [f"exporter/pools/{name}.py" for name in _SHARED],
        [
            f"{_POOLS}{name}.py"
            for name in ("accounts", "answers", "budget", "parts", "reading", "settings", "workers")
        ],
    ),
    **{
        room: (
            [f"exporter/pools/{room}/*.py"],
            # Of the tests of all pools those of this one, by their names, without those that take long.
            [
                *(f"{_POOLS}{name}.py" for name in ("bodies", "drivers", "faults", *names)),
                *("-k", f"({' or '.join(names)}) and not ({' or '.join(_LONG)})"),
            ],
        )
        for room, names in {
            "litecoinpool": ("litecoinpool",),
            "viabtc": ("viabtc", "accounts"),
            "f2pool": ("f2pool", "accounts"),
            "yiimp": ("yiimp", "mining_dutch"),
            "powerpool": ("powerpool",),
            "prohashing": ("prohashing", "fresher", "heard", "wamp"),
        }.items()
    },
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("paths", nargs="*", metavar="FILE_OR_FOLDER")
    parser.add_argument("--survivors", action="store_true", help="only mutants no test has killed so far")
    parser.add_argument("--children", type=int, default=1, help="how many mutants are tried at a time")
    arguments = parser.parse_args()
    rows: list[str] = []
    poor = False
    for room, (globs, tests) in ROOMS.items():
        sources = [str(path.relative_to(ROOT)) for glob in globs for path in sorted(ROOT.glob(glob))]
        if arguments.paths and not any(source.startswith(tuple(arguments.paths)) for source in sources):
            continue
        run(room, sources, tests, arguments)
        found = verdicts(room)
        for source in sources:
            states = Counter(state for name, state in found.items() if of(name) == source)
            if states:
                rows.append(row(source, states))
                poor |= states["killed"] < WANTED * states.total()
        print("\n".join(f"{name}: {state}" for name, state in found.items() if state != "killed"))
    print(
        "\n| file | mutants | killed | survived | no tests | timeouts | share | date |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    print("\n".join(rows))
    return int(poor)


def run(room: str, sources: list[str], tests: list[str], arguments: argparse.Namespace) -> None:
    """Let mutmut try the mutants of *sources*."""
    folder, survivors = FOLDER / room, arguments.survivors
    if arguments.paths and not survivors:
        shutil.rmtree(folder, ignore_errors=True)
    again = [name for name, state in verdicts(room).items() if state != "killed"] if survivors else []
    for copied in ("exporter", "prometheus", "tests"):
        shutil.rmtree(folder / copied, ignore_errors=True)
        shutil.copytree(ROOT / copied, folder / copied, ignore=shutil.ignore_patterns("__pycache__"))
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    settings = {
        "pytest": settings["pytest"],
        "mutmut": settings["mutmut"] | {"only_mutate": sources, "pytest_add_cli_args_test_selection": tests},
    }
    (folder / "pyproject.toml").write_text(toml(settings))
    if not survivors or again:
        environ = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        command = [*COLLECTED, "run", "--max-children", str(arguments.children), *again]
        subprocess.run(command, check=True, cwd=folder, env=environ)


def toml(settings: dict[str, dict[str, object]]) -> str:
    """Tables of lists, numbers and texts, which JSON writes as TOML does."""
    ini = settings["pytest"]["ini_options"]
    lines = []
    for title, table in (("tool.pytest.ini_options", ini), ("tool.mutmut", settings["mutmut"])):
        assert isinstance(table, dict)
        lines += [f"[{title}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def verdicts(room: str) -> dict[str, str]:
    """The state of each mutant of a room, as mutmut has written it down."""
    return {
        name: STATES.get(code, "killed")
        for path in sorted((FOLDER / room / "mutants/exporter").rglob("*.meta"))
        for name, code in json.loads(path.read_text())["exit_code_by_key"].items()
    }


def of(mutant: str) -> str:
    """The file whose mutant it is."""
    path = ROOT / mutant.rpartition(".")[0].replace(".", "/")
    return str((path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).relative_to(ROOT))


def row(source: str, states: Counter[str]) -> str:
    """A line of the table in docs/mutants.md."""
    counts = [states.total(), *(states[state] for state in ("killed", "survived", "no tests", "timeout"))]
    share = f"{100 * states['killed'] / states.total():.0f} %"
    cells = (source.removeprefix("exporter/"), *counts, share, datetime.datetime.now(tz=datetime.UTC).date())
    return f"| {' | '.join(map(str, cells))} |"


if __name__ == "__main__":
    sys.exit(main())
