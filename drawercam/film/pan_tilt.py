"""What turns a camera: a simulated mount, and the Pimoroni Pan-Tilt HAT of a Raspberry Pi.

A driver tells what it can turn as the protocol's `Turns` and obeys the protocol's `Orient`, so that
a camera passes both on as they are:

    socket.send(encode(turner.ranges()))            # once it is welcome, and whenever it comes back
    socket.send(encode(turner.turn(message)))       # for each `orient` from the relay
    turner.rest()                                   # when it has filmed
"""

from __future__ import annotations

import importlib
import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Protocol

from drawercam.protocol.messages import Axis, Orient, Turns
from groundwork.command_lines import quoted

# Degrees a second of a simulated mount: a small servo under a camera's weight.
SPEED = 90.0

# Zoom factors a second of a simulated lens: a motor takes some seconds from one end to the other.
ZOOM_SPEED = 2.0

# Seconds after the last turn in which the HAT's servos still hold: a turn from one end to the other
# takes less than one. Then they rest, or they would hum, draw half a watt and grow warm for as long
# as the camera stands still.
SERVO_IDLE = 2.0

# Degrees that the HAT's servos turn to either side.
HAT_REACH = 90

log = logging.getLogger(__name__)


class TurningError(Exception):
    """A mount that is not there or does not answer. The message is a sentence for people."""


class Turner(Protocol):
    """What turns a camera.

    Its verbs never wait for a motor, but may take some milliseconds for a bus: not for an event
    loop in a hurry.
    """

    def ranges(self) -> Turns:
        """What it can turn, from where to where, and as ``now`` where it stands or turns to (None
        where it does not know).
        """

    def turn(self, wish: Orient) -> Turns:
        """Turn there; an axis that is not wished for, or that it does not have, stays. What lies
        outside the range goes to its end.

        Returns:
            `ranges` from now on.

        Raises:
            TurningError: The mount does not answer.
        """

    def rest(self) -> None:
        """Nothing is wished any more: let the motors go.

        It may be turned again later. Never raises.
        """


@dataclass(frozen=True, slots=True)
class _Move:
    """One axis of a simulated mount on its way."""

    start: float
    goal: float
    since: float  # seconds
    speed: float  # units a second

    def at(self, now: float) -> float:
        way = self.goal - self.start
        done = (now - self.since) * self.speed
        return self.goal if done >= abs(way) else self.start + (done if way > 0 else -done)


class Simulator:
    """A mount that is not there: it turns as slowly as a real one, and tells at any time where it
    looks.
    """

    def __init__(
        self,
        pan: Axis | None = None,
        tilt: Axis | None = None,
        zoom: Axis | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            pan, tilt, zoom: What it can turn, with ``now`` where it begins (None for straight
                ahead, or as near as it comes). All three None: everything, 90 degrees to the sides,
                45 up and down, up to 4 times as near.
            clock: Seconds that never go back.
        """
        if pan is tilt is zoom is None:
            pan, tilt, zoom = Axis(-90, 90), Axis(-45, 45), Axis(1, 4)
        self._clock = clock
        self._axes = Turns(pan, tilt, zoom).axes()
        self._moves: dict[str, _Move] = {}
        for name, axis in self._axes.items():
            home = axis.now if axis.now is not None else 1.0 if name == "zoom" else 0.0
            begin = _within(axis, home)
            self._moves[name] = _Move(begin, begin, 0.0, ZOOM_SPEED if name == "zoom" else SPEED)

    def ranges(self) -> Turns:
        """See Turner."""
        return Turns(
            **{name: replace(axis, now=self._moves[name].goal) for name, axis in self._axes.items()}
        )

    def turn(self, wish: Orient) -> Turns:
        """See Turner."""
        now = self._clock()
        for name, value in wish.wishes().items():
            if (axis := self._axes.get(name)) is not None:
                move = self._moves[name]
                self._moves[name] = replace(
                    move, start=move.at(now), goal=_within(axis, value), since=now
                )
        return self.ranges()

    def rest(self) -> None:
        """See Turner."""

    def view(self) -> tuple[float, float, float]:
        """Where it looks just now, on its way or there: pan and tilt in degrees, zoom as a factor;
        0, 0 and 1 for what it does not have.
        """
        now = self._clock()
        pan, tilt, zoom = (
            move.at(now) if (move := self._moves.get(name)) else None
            for name in ("pan", "tilt", "zoom")
        )
        return pan or 0.0, tilt or 0.0, zoom or 1.0


class PanTiltHat:
    """The Pimoroni Pan-Tilt HAT, by its package ``pantilthat``.

    Where it stands is not known before the first turn: it cannot be asked.
    """

    def __init__(self, idle: float = SERVO_IDLE, upside_down: bool = False) -> None:
        """
        Args:
            idle: Seconds after the last turn after which the servos rest.
            upside_down: It hangs from the ceiling.

        Raises:
            TurningError: A package is not installed, or the HAT does not answer.
        """
        self._hat = _package()
        self._sign = 1 if upside_down else -1  # the HAT counts to the left and downwards
        self._axes = {"pan": Axis(-HAT_REACH, HAT_REACH, 1), "tilt": Axis(-HAT_REACH, HAT_REACH, 1)}
        try:
            self._hat.idle_timeout(idle)
            for servo in (1, 2):
                self._hat.servo_enable(servo, False)  # also asks the bus whether it is there
        except ImportError as error:  # it asks for smbus only now
            raise _missing() from error
        except Exception as error:  # whatever the package or the bus under it raises
            raise TurningError(
                f"The Pan-Tilt HAT does not answer ({error}). Is it plugged in, and I2C "
                "switched on?"
            ) from error

    def ranges(self) -> Turns:
        """See Turner."""
        return Turns(**self._axes)

    def turn(self, wish: Orient) -> Turns:
        """See Turner."""
        for name, value in wish.wishes().items():
            if (axis := self._axes.get(name)) is None:
                continue
            angle = round(_within(axis, value))
            try:
                (self._hat.pan if name == "pan" else self._hat.tilt)(self._sign * angle)
            except Exception as error:
                raise TurningError(f"The Pan-Tilt HAT does not turn ({error}).") from error
            self._axes[name] = replace(axis, now=angle)
        return self.ranges()

    def rest(self) -> None:
        """See Turner."""
        for servo in (1, 2):
            try:
                self._hat.servo_enable(servo, False)
            except Exception as error:
                log.warning("the Pan-Tilt HAT does not rest: %s", error)


def _within(axis: Axis, value: float) -> float:
    return min(max(value, axis.min), axis.max)


def _package() -> ModuleType:
    try:
        return importlib.import_module("pantilthat")
    except ImportError as error:
        raise _missing() from error


def _missing() -> TurningError:
    command = quoted([sys.executable, "-m", "pip", "install", "pantilthat", "smbus"])
    return TurningError(
        "The Pan-Tilt HAT needs the packages pantilthat and smbus. To install them, type: "
        f"{command}"
    )
