"""Comparisons with a real program: only with `--live` (make test-live), for they install a whole LiteLLM."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.compare import TALLY


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--live", action="store_true", help="compare the emulators with the real programs")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    # The option is unknown where this file is found only while collecting, as in a run of all tests.
    return None if config.getoption("live", default=False) else True


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TALLY.answers:
        terminalreporter.write_line(str(TALLY))
