from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.model.duration import parse_duration
from reconciler.model.errors import ConfigurationError
from reconciler.settings.program import ScheduleSettings


def test_a_schedule_may_be_without_jitter_but_not_without_interval() -> None:
    assert ScheduleSettings.load({"jitter": "0s"}, {}).jitter == timedelta()
    with pytest.raises(ConfigurationError, match=r"schedule\.interval"):
        ScheduleSettings.load({"interval": "0s"}, {})


@pytest.mark.parametrize("text", ["", "0s", "0.0m", "5", "-5m", "5y", "m", None])
def test_what_is_no_length_of_time(text: object) -> None:
    with pytest.raises(ValueError, match="write it like"):
        parse_duration(text)
