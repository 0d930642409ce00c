"""Being asked to stop: SIGTERM and SIGINT become a flag that a pass looks at between two changes."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from types import FrameType


class Stop:
    """Whether somebody asked us to stop."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        """Ask."""
        self._event.set()

    def is_set(self) -> bool:
        """Tell whether somebody asked."""
        return self._event.is_set()

    def wait(self) -> None:
        """Sleep until somebody asks."""
        self._event.wait()

    def sleep(self, seconds: float, sleep: Callable[[float], None]) -> None:
        """Sleep, but wake at a signal when the real clock is used."""
        if sleep is time.sleep:
            self._event.wait(seconds)
        else:
            sleep(seconds)

    def on_signals(self) -> _Signals:
        """Set it at a signal, for the length of a `with`; a second SIGINT interrupts at once."""
        return _Signals(self._event)


class _Signals:
    def __init__(self, event: threading.Event) -> None:
        self._event = event
        self._before: dict[int, object] = {}

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._handle)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, _: FrameType | None) -> None:
        if number == signal.SIGINT and self._event.is_set():
            raise KeyboardInterrupt
        self._event.set()
