"""Fixtures that every test may use."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
import structlog
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from reconciler.sandbox.supervisor import Sandbox

# A busy machine is no reason to fail: no test depends on how fast it is.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# Tracebacks as Python writes them: drawn with frames and all locals, as structlog does, they take long.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)


def pytest_collection_finish() -> None:
    """Set aside what was imported: it stays, and the collector of garbage need not look through it again."""
    gc.freeze()


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """One running sandbox for each pytest worker; use `clean_sandbox` unless the state does not matter."""
    from tests.support.own_sandbox import own_sandbox  # noqa: PLC0415 - unit tests need none of its servers

    with own_sandbox() as running:
        yield running


@pytest.fixture
def clean_sandbox(sandbox: Sandbox) -> Sandbox:
    """The worker's sandbox, emptied."""
    sandbox.clear()
    return sandbox
