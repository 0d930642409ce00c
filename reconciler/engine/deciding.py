"""What planning and applying share: a decision that cannot end the pass, and the wait for its commit."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

import structlog

from reconciler.engine.contract import AnyResource, Target
from reconciler.engine.kind import Kind
from reconciler.model.decision import Failed, Waiting
from reconciler.model.errors import DEFECT, ReconcilerError, of_this_machine
from reconciler.model.observation import Unknown

log = structlog.get_logger()

AnswerT = TypeVar("AnswerT")
COMMITTED_SOON = timedelta(seconds=1)


def safely(
    resource: AnyResource, target: Target[Any], decide: Callable[[], AnswerT]
) -> AnswerT | Failed | Unknown:
    """Return a decision; a defect that one item meets is that item's, and never the pass's."""
    try:
        return decide()
    except ReconcilerError as error:
        return Failed(error.message, error.remedy)
    except Exception as error:
        if want := of_this_machine(error):
            return Unknown(*want)
        log.error(
            "plan failed unexpectedly",
            resource=resource.name,
            item=str(target.id),
            error=type(error).__name__,
        )
        log.debug("traceback", exc_info=True)
        return Failed(f"unexpected {type(error).__name__}", DEFECT)


def being_committed(kind: Kind, name: str) -> Waiting:
    """Return what whoever needs a deferred resource waits for until this pass has made its commit."""
    assert kind.after_commit is not None  # noqa: S101 - a kind declares it where it has deferred resources
    return Waiting(f"{name} is being committed", kind.after_commit, again_in=COMMITTED_SOON)
