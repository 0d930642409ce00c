"""How this program logs: constant messages with fields; lines for people at a terminal, JSON elsewhere.

Libraries that log by themselves (uvicorn, APScheduler, mcp) come out in the same form.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

import structlog
from structlog.typing import EventDict, Processor

from reconciler.model.errors import printable


def _as_text(logger: object, name: str, event: EventDict) -> EventDict:
    """Have nothing of a file or a server reach a terminal as anything but text."""
    return {key: printable(value) if isinstance(value, str) else value for key, value in event.items()}


def configure_logs(level: int = logging.WARNING) -> None:
    """Send logs of this level and above to standard error; those of libraries from a warning on."""
    for_people = sys.stderr.isatty()
    renderer = structlog.dev.ConsoleRenderer() if for_people else structlog.processors.JSONRenderer()
    ours: Sequence[Processor] = (
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _as_text,
        # without locals: a frame of a client holds credentials
        structlog.processors.ExceptionRenderer(
            structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        ),
    )
    structlog.configure(
        processors=[*ours, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *ours],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    # What this one says of a request that it cannot read quotes the request, and with it what callers sent.
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    # What it warns of is meant: a pass that takes longer than its interval, after which the next one begins.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
