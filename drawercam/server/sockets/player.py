"""A player that watches one camera: its socket takes the frames of a channel, or leaves them."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from websockets.frames import Close

from drawercam.live.channel import NotTurned
from drawercam.live.hub import Hub
from drawercam.live.plays import Plays
from drawercam.live.track_output import NUMBERS
from drawercam.live.viewers import Follower, Fragment, Run, Viewer
from drawercam.media.packets import Kind
from drawercam.protocol import messages
from drawercam.protocol.close_reasons import Reason, Refused
from groundwork.connections.limits import Bucket

from .control_text import heard
from .patience import patience
from .sender import frame
from .websocket import Socket

# Joins of one player that are fulfilled at once, and seconds between two after that: each brings it
# everything since the last keyframe again. A page that was hidden and comes back, or whose engine
# begins anew, joins once. Where more come, the newest is fulfilled as soon as it may be.
JOINS_AT_ONCE, JOIN_PAUSE = 6, 1.0

# Votes for a pause of one player that count at once, and seconds between two after that: a page
# casts one every 2 s. To take one back counts always.
VOTES_AT_ONCE, VOTE_PAUSE = 4, 1.0

# Seconds by which one clock may be behind another one.
_MOMENT = 0.001

_VIDEO = NUMBERS[Kind.VIDEO]

log = logging.getLogger(__name__)


def _framed(fragment: Fragment) -> bytes:
    if fragment.framed is None:
        fragment.framed = frame(fragment.data)
    return fragment.framed


class PlayerSession(Follower):
    """`/player/<name>`: takes a channel's frames, or leaves them while its socket is behind.

    Args:
        address: From where it comes.
        rests: It comes without watching, and joins later.
        plays: What it can play, if it says that when it comes.
    """

    # See Socket.
    __slots__ = (
        "_channel",
        "_earlier",
        "_hub",
        "_joining",
        "_joins",
        "_plays",
        "_rests",
        "_socket",
        "_version",
        "_viewer",
        "_votes",
        "_wish",
        "who",
    )

    films = False

    def __init__(
        self,
        hub: Hub,
        name: str,
        address: str = "",
        rests: bool = False,
        plays: Plays | None = None,
        version: str | None = None,
    ) -> None:
        super().__init__()
        self.who = ""
        self._earlier = 0  # frames left out before it began to listen only, or to watch again
        self._hub, self._version = hub, version
        self._channel = hub.awaited(name, address)
        self._plays = plays or Plays()
        self._viewer: Viewer = self  # who stands for it in the channel
        self._rests = rests
        self._socket: Socket | None = None
        now = hub.clock() / 1e6
        self._joins, self._votes = (
            Bucket(JOINS_AT_ONCE, JOIN_PAUSE, now),
            Bucket(VOTES_AT_ONCE, VOTE_PAUSE, now),
        )
        self._wish: messages.Join | None = None  # to be fulfilled as soon as it may be
        self._joining = False  # a timer for that is set

    def opened(self, socket: Socket) -> None:
        log.debug("> %s watches %s", socket.peer, self._channel.name)
        self._socket, self.who = socket, socket.address
        socket.probe()
        socket.tell(messages.Welcome(self._channel.name, self._hub.clock(), self._version))
        if self._rests:
            self._channel.rest(self)
        else:
            self._channel.join(self, self._plays)

    def text(self, message: str) -> None:
        match heard(message, messages.FROM_PLAYER):
            case messages.Ping(t):
                channel, drops = self._channel, self._earlier + self._viewer.drops
                way, now = channel.timing(), self._hub.clock()
                lately = channel.idle(), channel.pace(), channel.level
                self.tell(
                    messages.PlayerPong(t, now, way.encode, way.uplink, way.relay, drops, *lately)
                )
            case messages.Pause():
                if self._votes.take(self._hub.clock() / 1e6):
                    self._channel.vote(self._viewer, True)
            case messages.Resume():
                self._channel.vote(self._viewer, False)
            case messages.Keyframe():
                self._channel.want_keyframe(self._viewer)
            case messages.Unplayable(codec_string):
                if codec := self._channel.codec(codec_string):
                    self._plays = self._plays.without(codec)
                    self._channel.plays(self._viewer, self._said)
            case messages.Join(_, plays) as join:
                if plays is not None:
                    self._plays = Plays.of(plays)
                self._wish = join
                if not self._joining:
                    self._join_when_due()
            case messages.Rest():
                self._wish = None
                self._channel.rest(self._viewer)
            case messages.Orient() as wish:
                try:
                    self._channel.orient(wish)
                except NotTurned as error:
                    self.tell(messages.Declined(error.id, str(error)))

    def binary(self, message: bytes) -> None:
        raise Refused(Reason.UNEXPECTED_BINARY)

    def _join_when_due(self) -> None:
        self._joining = False
        wish, now, later = self._wish, self._hub.clock() / 1e6, self._hub.later
        if wish is None:
            return
        wait = self._joins.wait(now)
        if wait > 0 and later is not None:
            self._joining = True
            later(wait + _MOMENT, self._join_when_due)
            return
        self._joins.take(now)
        self._wish = None
        self.begin_anew()
        self._join(wish.video)

    def _join(self, video: bool) -> None:
        """Watch, or only listen: then another viewer stands for it in the channel, so that viewers
        that watch pay nothing for that.
        """
        before = self._viewer
        if video == isinstance(before, _Listener):
            self._viewer = self if video else _Listener(self)
        self._channel.join(self._viewer, self._said)
        if before is not self._viewer:
            self._channel.part(before)  # only now, or its camera would be told that nobody is there
            self._earlier, before.drops = self._earlier + before.drops, 0

    @property
    def _said(self) -> Plays:
        """What it can play of that which it takes."""
        return self._plays if self._viewer is self else self._plays.sound_only()

    def drained(self) -> None:
        if self.needs_key and not self.asked and not self._late(True):
            log.debug("= a viewer of %s goes on after %d drops", self._channel.name, self.drops)
            self.asked = True
            self._channel.want_keyframe(self)

    def settled(self) -> None:
        pass

    def closed(self, goodbye: Close | None) -> None:
        self._wish = None
        self._channel.part(self._viewer)

    def tell(self, message: messages.Message) -> None:
        """See viewers.Viewer."""
        if self._socket is not None:
            self._socket.tell(message)

    def begin(self, number: int, init: bytes) -> None:
        """See viewers.Viewer."""
        if self._socket is not None:
            if number == _VIDEO:
                self.needs_key = True
            self._socket.write(frame(init))

    def catch_up(self, fragments: Sequence[Fragment]) -> None:
        """See viewers.Viewer."""
        if self._socket is not None:
            sent = not self._late(True) and self._socket.burst(map(_framed, fragments))
            self.needs_key, self.asked = not sent, False

    def offer(self, fragment: Fragment) -> bool:
        """See viewers.Viewer.

        What would be late is left out; after a picture that was, the next one is a keyframe.
        """
        socket = self._socket
        if socket is None or (
            not self.needs_key and socket.pass_on(fragment.framed or _framed(fragment))
        ):
            return False
        video = fragment.number == _VIDEO
        if self._late(video):
            self.leave_out(video, fragment.key)
            socket.left_out()
            return False
        if video and self.needs_key:
            if not fragment.key:
                return self.wait_for_key()
            self.needs_key = False
        socket.write(_framed(fragment))
        return False

    def offer_all(self, run: Run) -> bool:
        """See viewers.Viewer."""
        if self._socket is None or self.needs_key:
            return run.one_by_one(self)
        if run.framed is None:
            run.framed = b"".join(map(_framed, run.fragments))
        return not self._socket.pass_on(run.framed) and run.one_by_one(self)

    def hear(self, fragment: Fragment) -> bool:
        """Take a frame of sound, or leave it: False."""
        socket = self._socket
        if socket is None:
            return True
        if self._late(False):
            socket.left_out()
            return False
        socket.write(_framed(fragment))
        return True

    def _late(self, video: bool) -> bool:
        """Whether a frame would reach this viewer too late to be worth sending now."""
        socket = self._socket
        if socket is None or socket.behind:
            return True
        bound = patience(self._channel, video, self.needs_key, socket.bursting)
        return bound is not None and socket.wait() > bound


class _Listener:
    """Stands for a player that only listens. See viewers.Viewer."""

    __slots__ = ("_session", "drops", "who")

    def __init__(self, session: PlayerSession) -> None:
        self.who = session.who
        self.drops = 0
        self._session = session

    def tell(self, message: messages.Message) -> None:
        """See viewers.Viewer."""
        self._session.tell(message)

    def begin(self, number: int, init: bytes) -> None:
        """See viewers.Viewer."""
        self._session.begin(number, init)

    def catch_up(self, fragments: Sequence[Fragment]) -> None:
        """See viewers.Viewer. Sound needs no past."""

    def offer(self, fragment: Fragment) -> bool:
        """See viewers.Viewer."""
        if fragment.number != _VIDEO and not self._session.hear(fragment):
            self.drops += 1
        return False

    def offer_all(self, run: Run) -> bool:
        """See viewers.Viewer."""
        return run.one_by_one(self)
