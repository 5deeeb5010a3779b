"""mutmut with the tests collected once: python scripts/mutmut_collected.py run [NAME ...]

mutmut forks a child for each mutant, in which pytest begins anew: it reads its settings, loads its plugins
and collects the tests, which takes several times as long as the tests themselves. Here the parent does all
that, and a child only runs the tests it is given.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from _pytest.config import _prepareconfig
from mutmut.__main__ import cli
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.runners.harness import PytestRunner
from mutmut.utils.file_utils import change_cwd
from mutmut.workers import isolation

# Longer than any test sleeps.
_HANGS_SECONDS = 5.0
_LOOKS_SECONDS = 0.5


class Collected(PytestRunner):
    """Runs a mutant's tests out of a session that stands before its first test."""

    items: dict[str, pytest.Item]

    def collect(self) -> None:
        """Begin the session, and see that it passes as it is and fails where nothing works."""
        with change_cwd("mutants"):
            config = _prepareconfig(
                [
                    *("-x", "-q", "-s", "--rootdir=.", "--tb=no"),
                    *self._pytest_add_cli_args_test_selection,
                    *self._pytest_add_cli_args,
                ]
            )
            session = pytest.Session.from_config(config)
            config._do_configure()  # noqa: SLF001
            config.hook.pytest_sessionstart(session=session)
            config.hook.pytest_collection(session=session)
        self.session = session
        self.items = {item.nodeid: item for item in session.items}
        for mutant, wanted in (("", 0), ("fail", 1)):
            found = isolation.run_in_fork(self._run_as, mutant)
            if found != wanted:
                sys.exit(f"the collected tests end with {found} instead of {wanted} as mutant {mutant!r}")

    def _run_as(self, mutant: str) -> int:
        set_mutant_under_test(mutant)
        return self.run_tests(mutant_name=mutant, tests=self.items)

    def run_forced_fail(self) -> int:
        """Nothing: see ``collect``."""
        return 1

    def run_tests(self, *, mutant_name: str | None, tests: Iterable[str]) -> int:
        if mutant_name is None:
            # As above.
            return 0
        if mutant_name:
            Thread(target=_end_what_hangs, daemon=True).start()
        try:
            if mutant_name:
                # pytest's own report of the session that began in the parent.
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            items = [self.items[name.removeprefix("mutants/")] for name in tests]
            with change_cwd("mutants"):
                for item, following in zip(items, [*items[1:], None], strict=True):
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                    if self.session.testsfailed:
                        return 1
        except BaseException:  # noqa: BLE001
            # Neither killed nor alive: a child that leaves this way would go on as if it were the parent.
            return 2
        return 0


def _end_what_hangs() -> None:
    """End a child whose test has slept for long without a pause: it waits for what will not come.

    One that waits for its turn on a busy machine does not sleep, however late it is.
    """
    asleep, before = 0.0, ""
    while asleep < _HANGS_SECONDS:
        time.sleep(_LOOKS_SECONDS)
        # State and the ticks it ran (user, system) of the main thread: proc(5), fields 3, 14 and 15.
        fields = Path(f"/proc/self/task/{os.getpid()}/stat").read_text().rpartition(")")[2].split()
        now = " ".join((fields[0], *fields[11:13]))
        asleep = asleep + _LOOKS_SECONDS if now == before and fields[0] == "S" else 0.0
        before = now
    os._exit(1)


class Runner(isolation.ForkRunner):
    def startup(self) -> None:
        assert isinstance(self.test_runner, Collected)
        self.test_runner.collect()
        super().startup()


isolation.PytestRunner = Collected  # type: ignore[misc]
isolation.ForkRunner = Runner  # type: ignore[misc]


def main() -> Any:
    return cli()


if __name__ == "__main__":
    main()
