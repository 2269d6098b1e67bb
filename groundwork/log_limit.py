"""What others can write into the log: short lines, each kind of them seldom, and not much in all.

Strangers who reach the relay's port cause lines, and could fill its disk so, or drown what its
owner should see. So a line is cut, and of each kind, which is the place in the program where it
comes from, only the last is written in a while, with how many others there were. What only the
owner of the relay causes is written as it is.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TextIO

from .brief import cut, one_line

OWN = (
    "drawercam.assembly",
    "drawercam.certs",
    "groundwork.state_files",
    "drawercam.access.keys",
    "drawercam.discovery.mdns",
    "certs.renewal",
)
"""Loggers of what only the relay's owner causes."""

_OURS = ("drawercam", "ip_registry", "groundwork", "certs")

MAX_LINE = 300
"""Characters of a line, of which each is a byte."""

MAX_TRACEBACK = 24
"""Lines of a traceback: its first two, and its last ones, which name the place."""

OFTEN, BEGINNING, SELDOM = 1.0, 60.0, 60.0
"""Seconds from one line of a kind to its next, for so many seconds since its first; seconds from
one to the next after that.
"""

QUIET = 600.0
"""Seconds after which a kind counts as new again."""

MAX_KINDS = 500
"""Kinds that are known at once: the program has a hundred. All beyond are one kind."""

MAX_A_DAY = 10_000_000
"""Bytes of all these lines in 24 hours."""

_AT_ONCE = 2_000_000
"""Bytes of them that may come at once. The rest of a day's comes evenly over the day."""

_FOR_NEWS = 500_000
"""Bytes of those at once that are left for kinds that have not been written yet."""

_DAY = 24 * 3600.0


@dataclass(slots=True)
class _Kind:
    """Attributes:
    began, seen, written: When one came first, when the last one came, when one was written.
    unwritten: How many have come since.
    level, created, text: Of the last one.
    """

    began: float
    seen: float
    written: float
    unwritten: int = 0
    level: int = logging.INFO
    created: float = 0.0
    text: str = ""

    def due(self) -> float:
        """When one may be written again."""
        return self.written + (OFTEN if self.written - self.began < BEGINNING else SELDOM)


class Handler(logging.StreamHandler[TextIO]):
    """Writes records, those of others bounded."""

    def __init__(
        self,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
        later: Callable[[float, Callable[[], None]], None] | None = None,
    ) -> None:
        """
        Args:
            stream: Where to; stderr if None.
            clock: Monotonic seconds.
            later: Calls something after so many seconds, from whatever thread.
        """
        super().__init__(stream)
        self._clock = clock
        self._later = later or _later
        self._kinds: dict[Hashable, _Kind] = {}
        self._budget, self._counted = float(_AT_ONCE), clock()
        self._waiting = False  # `_tell` is going to be called

    def emit(self, record: logging.LogRecord) -> None:
        """See logging.Handler."""
        if record.name.startswith(OWN):
            super().emit(record)
            return
        try:
            self._limit(record)
        except Exception:
            self.handleError(record)

    def _limit(self, record: logging.LogRecord) -> None:
        now, key = self._clock(), _place(record)
        kind = self._kinds.get(key)
        if kind is None and len(self._kinds) >= MAX_KINDS:
            self._forget(now)
            if len(self._kinds) >= MAX_KINDS:
                key = None
                kind = self._kinds.get(key)
        if kind is None or (now - kind.seen >= QUIET and not kind.unwritten):
            kind = self._kinds[key] = _Kind(now, now, -SELDOM)
        kind.seen, kind.level, kind.created, kind.text = (
            now,
            record.levelno,
            record.created,
            self._message(record),
        )
        kind.unwritten += 1
        if now >= kind.due() and self._room(kind, now):
            self._write(kind, now, _traceback(record))
        elif not self._waiting:
            self._wait(max(OFTEN, kind.due() - now))

    def _message(self, record: logging.LogRecord) -> str:
        values = record.args
        try:
            if not values or not isinstance(values, tuple):
                return one_line(record.getMessage(), MAX_LINE)
            # Cut first, because most lines of a flood are left out, and large values would cost
            # what they are not worth.
            return one_line(
                str(record.msg)
                % tuple(cut(one, MAX_LINE) if isinstance(one, str) else one for one in values),
                MAX_LINE,
            )
        except Exception:
            return one_line(f"{record.msg} (its values cannot be written)", MAX_LINE)

    def _room(self, kind: _Kind, now: float) -> int:
        """Bytes that this kind may write now; 0 when a line of any length might not fit."""
        self._budget = min(
            float(_AT_ONCE), self._budget + (now - self._counted) * (MAX_A_DAY - _AT_ONCE) / _DAY
        )
        self._counted = now
        room = int(self._budget) - (0 if kind.written < kind.began else _FOR_NEWS)
        return room if room > MAX_LINE else 0

    def _write(self, kind: _Kind, now: float, traceback: str = "") -> None:
        """Write the last line of this kind, for which there is room; its traceback only if there is
        room for that, too.
        """
        waited = now - kind.seen
        parts = [f"and {kind.unwritten - 1} more of this kind"] if kind.unwritten > 1 else []
        if (
            waited > OFTEN
        ):  # the line's own time is that of its writing, because times in a log do not go back
            parts.append(f"at {time.strftime('%H:%M:%S', time.localtime(kind.created))}")
        more = f" ({', the last '.join(parts)})" if parts else ""
        length = MAX_LINE - len(more) - len(self.format(_record(kind, "", waited)))
        line = self.format(_record(kind, one_line(kind.text, length) + more, waited))
        line += (
            traceback if MAX_LINE + len(traceback) < self._room(kind, now) else ""
        ) + self.terminator
        self._budget -= len(line)
        kind.written, kind.unwritten = now, 0
        self.stream.write(line)
        self.flush()

    def _forget(self, now: float) -> None:
        for key in [
            key
            for key, kind in self._kinds.items()
            if now - kind.seen >= QUIET and not kind.unwritten
        ]:
            del self._kinds[key]

    # --- what was left out ---

    def _wait(self, seconds: float) -> None:
        self._waiting = True
        self._later(seconds, self._tell)

    def _tell(self) -> None:
        """Write the last lines of kinds of which no more has come."""
        with self.lock or threading.Lock():
            if not threading.main_thread().is_alive():
                # The interpreter ends, `close` has said the rest, and who writes meanwhile in
                # another thread makes it abort.
                return
            self._waiting, now = False, self._clock()
            for kind in self._kinds.values():
                if kind.unwritten and now >= kind.due() and self._room(kind, now):
                    self._write(kind, now)
            left = [kind.due() - now for kind in self._kinds.values() if kind.unwritten]
            if left:
                self._wait(
                    max(OFTEN, min(left)) if min(left) > 0 else SELDOM
                )  # where there was no room, not much sooner

    def close(self) -> None:
        """See logging.Handler. At the end it is said what was left out until then."""
        now = self._clock()
        for kind in self._kinds.values():
            if kind.unwritten and self._room(kind, now):
                self._write(kind, now)
        super().close()


def install(level: str) -> None:
    """Let this program's log be bounded. To be called once, at its beginning.

    Args:
        level: Such as ``"INFO"``.
    """
    handler = Handler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logging.basicConfig(handlers=[handler], level=level)
    sys.unraisablehook = _unraisable


def _place(record: logging.LogRecord) -> Hashable:
    """Where in the program a record comes from; of an exception, where that does as well.

    In our own calls the format belongs to it: it says of what many values a thing has one.
    Libraries' formats may hold anything.
    """
    place: list[Any] = [
        record.name,
        record.pathname,
        record.lineno,
        record.msg if record.name.startswith(_OURS) else "",
    ]
    if record.exc_info and record.exc_info[0] is not None:
        kind, _, trace = record.exc_info
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place += [kind, trace and (trace.tb_frame.f_code.co_filename, trace.tb_lineno)]
    return tuple(place)


def _record(kind: _Kind, text: str, waited: float) -> logging.LogRecord:
    """A line of this kind that has waited so many seconds to be written."""
    level = logging.getLevelName(kind.level)
    values = {
        "levelno": kind.level,
        "levelname": level,
        "created": kind.created + waited,
        "msg": text,
    }
    return logging.makeLogRecord(values)


def _traceback(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[0] is None:
        return ""
    lines = logging.Formatter().formatException(record.exc_info).splitlines()
    if len(lines) > MAX_TRACEBACK:
        lines[2 : len(lines) - MAX_TRACEBACK + 3] = ["  ..."]
    return "".join(f"\n{one_line(line, MAX_LINE)}" for line in lines)


def _unraisable(unraisable: sys.UnraisableHookArgs) -> None:
    """What has gone wrong in a place that no exception leaves: the log has it."""
    told = (
        unraisable.exc_type,
        unraisable.exc_value or unraisable.exc_type(),
        unraisable.exc_traceback,
    )
    logging.getLogger(__name__).error(
        "%s: %r", unraisable.err_msg or "Exception ignored in", unraisable.object, exc_info=told
    )


def _later(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    with contextlib.suppress(RuntimeError):  # the program is ending, and `close` says the rest
        timer.start()
