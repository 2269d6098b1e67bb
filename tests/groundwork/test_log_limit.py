"""What others can write into the log, with a clock that only pretends."""

from __future__ import annotations

import io
import itertools
import logging
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundwork import log_limit
from groundwork.brief import cut, one_line
from groundwork.log_limit import (
    BEGINNING,
    MAX_KINDS,
    MAX_LINE,
    MAX_TRACEBACK,
    OFTEN,
    OWN,
    QUIET,
    SELDOM,
    Handler,
)
from tests.harness.relays import ROOT

DAY = 24 * 3600


class Stage:
    """A log, and its time.

    Attributes:
        time: Seconds.
        handler: What is tried.
    """

    def __init__(self) -> None:
        self.time = 1000.0
        self.out = io.StringIO()
        self._due: list[tuple[float, Callable[[], None]]] = []
        self.handler = Handler(
            self.out,
            lambda: self.time,
            lambda seconds, call: self._due.append((self.time + seconds, call)),
        )
        self.handler.setFormatter(logging.Formatter("12:34:56 %(message)s"))

    def say(
        self,
        text: str,
        *values: object,
        place: int = 1,
        name: str = "drawercam.server",
        fault: BaseException | None = None,
    ) -> None:
        told = (type(fault), fault, fault.__traceback__) if fault is not None else None
        self.handler.handle(
            logging.LogRecord(name, logging.INFO, "server.py", place, text, values, told)
        )

    def pass_by(self, seconds: float) -> None:
        """Let time pass, with what is due meanwhile."""
        end = self.time + seconds
        while due := [one for one in self._due if one[0] <= end]:
            first = min(due, key=lambda one: one[0])
            self._due.remove(first)
            self.time = max(self.time, first[0])
            first[1]()
        self.time = end

    @property
    def lines(self) -> list[str]:
        return self.out.getvalue().splitlines()


def fault(text: str = "a fault", depth: int = 0) -> BaseException:
    """An exception that has happened."""
    try:
        if depth:
            raise fault(text, depth - 1)
        raise LookupError(text)
    except LookupError as error:
        return error


# --- how often ---


def test_a_kind_is_written_once_a_second_and_then_once_a_minute_with_how_many_were_left_out() -> (
    None
):
    stage, said = Stage(), 0
    for _ in range(round((BEGINNING + 3 * SELDOM) * 10)):
        stage.say("x %s is refused", said)
        said += 1
        stage.pass_by(0.1)
    assert BEGINNING / OFTEN <= len(stage.lines) <= BEGINNING / OFTEN + 5
    assert stage.lines[0] == "12:34:56 x 0 is refused"
    assert all(re.search(r" \(and \d+ more of this kind\)$", line) for line in stage.lines[1:])
    stage.pass_by(SELDOM)
    assert stage.lines[-1].startswith(f"12:34:56 x {said - 1} ")
    assert (
        len(stage.lines) + sum(int(one) for one in re.findall(r"(\d+) more", stage.out.getvalue()))
        == said
    ), "all are counted"


def test_what_was_left_out_is_told_also_where_no_more_comes() -> None:
    stage = Stage()
    for number in range(50):
        stage.say("x %s is refused", number)
    assert stage.lines == ["12:34:56 x 0 is refused"]
    stage.pass_by(OFTEN)
    assert stage.lines[1:] == ["12:34:56 x 49 is refused (and 48 more of this kind)"]
    stage.pass_by(DAY)
    assert len(stage.lines) == 2
    stage.say("x %s is refused", 50)
    stage.say("x %s is refused", 51)
    assert len(stage.lines) == 3
    stage.handler.close()
    assert stage.lines[2:] == ["12:34:56 x 50 is refused", "12:34:56 x 51 is refused"], (
        "also at the end"
    )


def test_times_do_not_go_back_where_a_line_has_waited() -> None:
    out, now, due = io.StringIO(), [1000.0], list[Callable[[], None]]()
    handler = Handler(out, lambda: now[0], lambda seconds, call: due.append(call))
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))

    def say(text: str, place: int, **more: object) -> None:
        record = logging.LogRecord(
            "drawercam.server", logging.INFO, "server.py", place, text, (), None
        )
        record.created = 3600 * 24 + now[0] - 1000
        handler.handle(record)

    for second in range(int(BEGINNING) + 2):  # from now on it is written once a minute
        now[0] = 1000.0 + second
        say("x it is refused", 1)
    now[0] += 10
    say("x it is refused", 1)
    say("x it is refused", 1)
    now[0] += 20
    say("= another line", 2)
    now[0] += SELDOM
    due[-1]()
    last = out.getvalue().splitlines()[-2:]
    clock = [
        time.strftime("%H:%M:%S", time.localtime(3600 * 24 + now[0] - 1000 - back))
        for back in (SELDOM, 0, SELDOM + 20)
    ]
    assert last == [
        f"{clock[0]} = another line",
        f"{clock[1]} x it is refused (and 2 more of this kind, the last at {clock[2]})",
    ]


def test_kinds_do_not_hide_one_another_and_one_that_was_quiet_is_new() -> None:
    stage = Stage()
    for place in range(3):
        stage.say("line %s", place, place=place)
    for state in ("live", "gone"):
        stage.say(f"%s is {state}", "porch", place=3)
        stage.say(f"told {state}", place=4, name="library")
    assert len(stage.lines) == 6
    stage.handler.close()
    assert [line[9:] for line in stage.lines[3:]] == [
        "porch is live",
        "told live",
        "porch is gone",
        "told gone",
    ]
    stage.pass_by(BEGINNING + 1)
    for _ in range(2):
        stage.say("line %s", "again", place=1)
    stage.pass_by(OFTEN)
    assert len(stage.lines) == 8, "it is no longer in its first minute"
    stage.pass_by(QUIET)
    for _ in range(3):
        stage.say("line %s", "anew", place=1)
        stage.pass_by(OFTEN)
    assert [line[9:] for line in stage.lines[-3:]] == ["line anew"] * 3


def test_faults_of_other_places_are_other_kinds() -> None:
    stage = Stage()
    try:
        raise LookupError
    except LookupError as error:
        elsewhere = error
    for one in (fault(), fault("another text"), elsewhere, ValueError()):
        stage.say("a fault in the relay", fault=one)
    assert len([line for line in stage.lines if line.endswith("a fault in the relay")]) == 3


# --- how long ---


@given(st.text(), st.integers(0, 10**6), st.booleans())
def test_no_line_is_long_or_more_than_one(text: str, times: int, foreign_format: bool) -> None:
    stage = Stage()
    said = (text * (1 + times // max(1, len(text)))).replace("%", "")
    for _ in range(2):
        stage.say(*((said,) if foreign_format else ("x: %s", said)))
        stage.pass_by(OFTEN)
    assert len(stage.lines) == stage.out.getvalue().count("\n") == 2
    assert all(
        len(line) <= MAX_LINE and line.isprintable() and line.isascii() for line in stage.lines
    )


def test_a_line_that_does_not_fit_its_values_is_no_fault() -> None:
    stage = Stage()
    stage.say("x %d", "no number")
    assert stage.lines == ["12:34:56 x %d (its values cannot be written)"]


@pytest.mark.parametrize("depth", [0, 3, 200])
def test_a_traceback_is_bounded_and_names_its_place(depth: int) -> None:
    stage = Stage()
    stage.say("a fault in the relay", fault=fault("\x1b[31m\n" + "word " * 10**6, depth))
    assert len(stage.lines) <= MAX_TRACEBACK + 1 and all(
        len(line) <= MAX_LINE for line in stage.lines
    )
    assert stage.lines[1].startswith("Traceback") and "\x1b" not in stage.out.getvalue()
    assert any(re.search(r"test_log_limit.py\", line \d+, in fault", line) for line in stage.lines)


# --- how much ---


def test_all_that_others_cause_in_a_day_is_bounded_and_every_kind_is_written_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert log_limit.MAX_A_DAY == 10**7
    for name in ("MAX_A_DAY", "_AT_ONCE", "_FOR_NEWS"):  # a small one, which takes less time
        monkeypatch.setattr(log_limit, name, getattr(log_limit, name) // 100)
    stage, written = Stage(), [0]
    for second in range(0, 2 * DAY, 300):
        if second == DAY:
            written.append(len(stage.out.getvalue()))
        for place in range(6):
            stage.say("x" * 400, place=place)
        stage.say("something new", place=1000 + second)
        assert stage.lines[-1].endswith("something new")
        stage.pass_by(300)
    written.append(len(stage.out.getvalue()))
    assert all(10**5 / 2 < then - before <= 10**5 for before, then in itertools.pairwise(written))


def test_what_its_owner_causes_is_never_lost() -> None:
    stage = Stage()
    for number in range(2000):
        stage.say("y" * 1000, place=number, fault=fault("z" * 1000))
    assert len(stage.lines) < 2000 * 5, "no more is written of others"
    before = len(stage.lines)
    for name in OWN:
        for number in range(100):
            stage.say("%s", f"{number} " + "a" * 500, name=f"{name}.part")
    assert len(stage.lines) - before == 100 * len(OWN) and stage.lines[-1].endswith(
        f"99 {'a' * 500}"
    )


def test_the_memory_for_kinds_is_bounded() -> None:
    stage = Stage()
    for place in range(3 * MAX_KINDS):
        stage.say("line", place=place)
    assert len(stage.lines) == len(stage.handler._kinds) == MAX_KINDS + 1
    stage.pass_by(QUIET + SELDOM)
    stage.say("line", place=-1)
    assert len(stage.handler._kinds) <= 2


# --- in a program ---


def test_nothing_is_written_by_another_thread_while_the_program_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stage = Stage()
    for _ in range(3):
        stage.say("line")
    assert len(stage.lines) == 1
    monkeypatch.setattr(
        threading, "main_thread", threading.Thread
    )  # has not begun, which is as good as over
    stage.pass_by(QUIET)
    assert len(stage.lines) == 1
    stage.handler.close()
    assert len(stage.lines) == 2 and stage.lines[1].startswith(
        "12:34:56 line (and 1 more of this kind, the last at "
    )


def test_a_program_has_it_and_says_the_rest_at_its_end() -> None:
    program = """
import logging
from groundwork import log_limit
log_limit.install("INFO")
for number in range(1000):
    logging.getLogger("drawercam.server").info("x %s", "y" * 10**6)
    logging.getLogger("drawercam.server").debug("not said")
logging.getLogger("drawercam.access.keys").info("+ a key")
class Odd:
    def __del__(self):
        raise LookupError("z" * 10**6)
del (odd := [Odd()])[0]
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    lines = done.stderr.splitlines()
    assert all(len(line) <= MAX_LINE for line in lines) and len(lines) < 15
    assert lines[-1].endswith("(and 998 more of this kind)") and any(
        line.endswith(" + a key") for line in lines
    )
    assert any("Odd.__del__" in line for line in lines)


@given(st.text(), st.integers(3, 300))
def test_sentences_are_cut(text: str, most: int) -> None:
    assert cut(text, most) == (text if len(text) <= most else text[: most - 3] + "...")
    line = one_line(text, most)
    assert len(line) <= most and line.isprintable() and line.isascii()
    assert not text.isascii() or not text.isprintable() or line == cut(text, most)
