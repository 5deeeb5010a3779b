"""Say what share of the mutants the tests kill: scripts/mutants.py [FILE_OR_FOLDER ...]

A run that was stopped goes on where it was. A file or folder that is named is run anew.
"""

from __future__ import annotations

import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

WANTED = 0.9
# A mutant that makes a test hang or crash is noticed like one that makes it fail.
KILLED = ("killed", "timeout", "segfault", "suspicious", "caught by type check")
MUTMUT = (sys.executable, "-m", "mutmut")


def main(paths: list[str]) -> int:
    patterns = [_dotted(path) + "*" for path in paths]
    done = subprocess.run([*MUTMUT, "run", *patterns], check=False)
    if done.returncode:
        return done.returncode
    listing = subprocess.run(
        [*MUTMUT, "results", "--all", "true"], check=True, capture_output=True, text=True
    ).stdout
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    alive: list[str] = []
    for line in listing.splitlines():
        name, _, state = line.strip().rpartition(": ")
        if not name or state == "not checked" or (paths and not name.startswith(tuple(map(_dotted, paths)))):
            continue
        counts[_module(name)]["killed" if state in KILLED else state] += 1
        if state not in KILLED:
            alive.append(f"{name}: {state}")
    print("\n".join(["", *alive, ""]))
    poor = False
    for module, states in sorted(counts.items()):
        total = states.total()
        rate = states["killed"] / total
        poor |= rate < WANTED
        print(f"{module:32} {states['killed']:5} of {total:5} killed  {rate:7.1%}")
    return int(poor)


def _dotted(path: str) -> str:
    return ".".join(Path(path).with_suffix("").parts)


def _module(name: str) -> str:
    """The module of ``package.module.x_function__mutmut_1``."""
    return name.rpartition(".")[0]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
