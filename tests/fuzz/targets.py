"""What is fuzzed, one function for each: it takes any bytes and raises when they break a promise.

The promises: any input gives results or the one documented error of its room; the results do not
depend on how the input is cut; what was read can be written, and is read again as it was; and what
comes out is no larger than what went in would explain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from drawercam.live.channel import Channel, NotTurned, State
from drawercam.live.ingest import Source
from drawercam.live.keyframes import MAX_MEMORY
from drawercam.live.ledger import Budget, Ledger
from drawercam.live.pausing import PausePolicy, Policy
from drawercam.live.plays import Plays
from drawercam.live.viewers import Fragment, Run
from drawercam.media.codecs import aac, av1, h264, opus, vpx
from drawercam.media.codecs import h264_sets as sets
from drawercam.media.codecs.unpack import unpacker
from drawercam.media.color import completed
from drawercam.media.containers.detect import Reader, StreamReader, writer
from drawercam.media.containers.mp4 import Mp4Reader
from drawercam.media.containers.mp4_writer import Mp4Writer
from drawercam.media.containers.webm import WebmReader
from drawercam.media.packets import Codec, Kind, MediaError, Packet, Track
from drawercam.media.work import FRAME, MOST, Work
from drawercam.protocol import messages as control
from drawercam.protocol.close_reasons import Closing, Refused
from drawercam.server.connections import first_request as door
from tests.media.samples import recordings

Target = Callable[[bytes], None]


class Choices:
    """Bytes as a row of decisions. After their end, all decisions are 0 and all pieces empty.

    Attributes:
        rest: Bytes that are not used up yet.
    """

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def upto(self, most: int) -> int:
        """An integer from 0 to ``most``, which is below 2**64."""
        size = (most.bit_length() + 7) // 8
        return int.from_bytes(self.take(size), "big") % (most + 1)

    def take(self, size: int) -> bytes:
        """The next bytes, as many as there are."""
        taken, self.rest = self.rest[:size], self.rest[size:]
        return taken

    def pieces(self) -> Iterator[bytes]:
        """All that is left, in pieces of up to 255 bytes or as they are long in themselves."""
        while self.rest:
            yield self.take(self.upto(255))

    def __bool__(self) -> bool:
        return bool(self.rest)


# --- containers ---

# Bytes of packets that one byte of a stream can become: a NAL unit of one byte behind a length of
# one byte gets a length of four.
_GROWTH = 3


# Bytes that a reader holds beside those that were fed: for samples that a fragment promises, and
# for empty buffers.
_PROMISED = 2**20 + 2**10


def _read(reader: Reader, pieces: Sequence[bytes]) -> tuple[list[Track | Packet], str | None]:
    """What a reader makes of the pieces, and what it complains of in the end."""
    events: list[Track | Packet] = []
    fed = 0
    for piece in pieces:
        fed += len(piece)
        work = Work()
        try:
            found = reader.feed(piece, work)
        except MediaError as error:
            _stays_dead(reader)
            assert reader.held < _PROMISED, "a reader that is dead holds nothing"
            return events, f"{type(error).__name__}: {error}"
        assert len(found) * FRAME <= MOST - work.left + FRAME, "frames are paid for"
        assert reader.held <= fed * 1.2 + _PROMISED, "what is held has come"
        events += found
    return events, None


def _stays_dead(reader: Reader) -> None:
    try:
        reader.feed(b"")
    except MediaError:
        return
    raise AssertionError("a reader goes on after an error")


def _container(begin: Callable[[], Reader], data: bytes) -> None:
    """The first byte says into how large pieces the rest is cut."""
    size, stream = data[:1], data[1:]
    whole, complaint = _read(begin(), [stream])
    step = 1 + size[0] % 97 if size else 1
    pieces = [stream[position : position + step] for position in range(0, len(stream), step)]
    cut, complaint_of_cut = _read(begin(), pieces)
    assert complaint == complaint_of_cut, "the cuts decide whether the stream is broken"
    # An error costs what came in the same piece before it, so a broken stream gives more when it is
    # cut.
    assert complaint or whole == cut, "the cuts decide what is read"
    assert len(cut) <= len(stream), "more comes out than a stream of this length can hold"
    assert sum(len(event.data) for event in cut if isinstance(event, Packet)) <= _GROWTH * len(
        stream
    )
    _write_again(cut)


def _write_again(events: list[Track | Packet]) -> None:
    """Each track is written as viewers get it, and read again."""
    parts: list[list[Packet]] = []
    current: dict[Kind, list[Packet]] = {}
    for event in events:
        if isinstance(event, Track):
            parts.append(current.setdefault(event.kind, []))
            current[event.kind] = parts[-1] = []
        else:
            current[event.track.kind].append(event)
    for part in filter(None, parts):
        # The relay places packets on its own clock before it writes them.
        packets = [
            replace(packet, timestamp=number * 40_000 + 10**8) for number, packet in enumerate(part)
        ]
        track = packets[0].track
        if track.kind is Kind.VIDEO:
            track = replace(
                track, color=completed(track.color, track.width, track.height)
            )  # as the channel does it
        out = writer(track, 1, 0)
        stream = out.init() + b"".join(out.fragment(packet) for packet in packets)
        again = [event for event in StreamReader().feed(stream) if isinstance(event, Packet)]
        assert [(one.timestamp, one.key, one.data) for one in again] == [
            (one.timestamp, one.key, one.data) for one in packets
        ]
        # How its pictures are turned and stretched is said in `track`, because each player does
        # that by itself.
        plain = [
            replace(one, rotation=0, flip=False, display_width=0, display_height=0)
            for one in (again[0].track, track)
        ]
        assert plain[0] == plain[1], "a track is read as it was written"


def webm(data: bytes) -> None:
    """WebmReader."""
    _container(WebmReader, data)


def mp4(data: bytes) -> None:
    """Mp4Reader."""
    _container(Mp4Reader, data)


def stream(data: bytes) -> None:
    """StreamReader, which finds out by itself what it reads."""
    _container(StreamReader, data)


# --- codecs ---


def h264_frames(data: bytes) -> None:
    """AccessUnits: pieces are a configuration and frames."""
    config, *frames = [*Choices(data).pieces()] or [b""]
    try:
        units = h264.AccessUnits(config)
        for frame in frames:
            unpacked = units.unpack(frame)
            if unpacked is None:
                continue
            track, packet, _ = unpacked
            assert h264.split_lengths(packet, 4), "a picture without a NAL unit"
            assert units.track is not None
            if track is not None:
                record = sets.parse_avcc(track.config)
                assert record.length_size == 4
                assert sets.picture_size(record.sps[0]) == (track.width, track.height)
                assert h264.AccessUnits(track.config).unpack(packet) == (track, packet, unpacked[2])
    except MediaError:
        return


def h264_sets(data: bytes) -> None:
    """Parameter sets and configuration records."""
    try:
        size = sets.picture_size(data)
        bounded = sets.with_reorder_bound(data)
        assert sets.picture_size(bounded) == size, "a bound on reordering changes nothing else"
        assert sets.with_reorder_bound(bounded) == bounded
    except MediaError:
        pass
    try:
        record = sets.parse_avcc(data)
        again = sets.parse_avcc(sets.build_avcc(record.sps, record.pps))
        assert (again.sps, again.pps) == (record.sps, record.pps)
        assert sets.codec_string(data).startswith("avc1.")
    except MediaError:
        pass


def pictures(data: bytes) -> None:
    """The heads of VP8, VP9 and AV1 frames."""
    for read in (vpx.vp8_key, vpx.vp9_key):
        head = read(data)
        assert head is None or (0 <= head.width <= 2**16 and 0 <= head.height <= 2**16)
    try:
        sequence = av1.sequence_header(data)
        if sequence is not None:
            assert 0 < av1.pixel_aspect(data, sequence.frames) < 2**33
    except MediaError:
        return
    if sequence is not None:
        assert 0 < sequence.width <= 2**16 and 0 < sequence.height <= 2**16
        assert av1.sequence_header(sequence.config[4:]) == sequence, (
            "the configuration has the header from which it was made"
        )


def sound(data: bytes) -> None:
    """Configurations of AAC and Opus, and Opus packets."""
    assert 0 <= opus.packet_duration(data) <= opus.MAX_PACKET_DURATION
    for codec in (Codec.AAC, Codec.OPUS):
        try:
            unpacked = unpacker(codec, data, 44100, 2).unpack(b"\0", True)
        except MediaError:
            continue
        assert unpacked is not None and unpacked[0] is not None
        track = unpacked[0]
        assert writer(track, 2, 0).init(), "what is read can be written"
        if codec is Codec.AAC:
            assert aac.codec_string(data) == track.codec_string
            assert track.channels and track.sample_rate
        else:
            _dops(track)


def _dops(track: Track) -> None:
    """Opus in MP4: its configuration has the other byte order there."""
    try:
        init = Mp4Writer(track, 1).init()
    except MediaError:
        return  # documented: the OpusHead is too short
    try:
        Mp4Reader().feed(init)
    except MediaError as error:
        assert "dOps" in str(error) or "too short" in str(error), error


# --- messages and requests ---

VOCABULARIES = (control.FROM_CAMERA, control.FROM_PLAYER, control.FROM_WALL)


def message(data: bytes) -> None:
    """control.parse; the first byte says who speaks."""
    choices = Choices(data)
    vocabulary = VOCABULARIES[choices.upto(len(VOCABULARIES) - 1)]
    try:
        said = control.parse(choices.rest.decode(errors="replace"), vocabulary)
    except control.ControlError as error:
        assert str(error)
        return
    assert vocabulary[said.type] is type(said)
    assert control.parse(control.encode(said), vocabulary) == said, "it is read as it was written"


class _Transport:
    """As much of a transport as a door needs."""

    def __init__(self) -> None:
        self.open = True
        self.written = b""

    def write(self, data: bytes) -> None:
        assert self.open
        self.written += data

    def close(self) -> None:
        self.open = False

    def abort(self) -> None:
        self.open = False

    def is_closing(self) -> bool:
        return not self.open


class _Rooms:
    """Where the door leads. Attributes: entered: which room, and with what."""

    def __init__(self) -> None:
        self.entered: tuple[str, bytes] | None = None
        self.doors = 0

    def served(self) -> float:
        return 0.0

    def enter_http(self, transport: object, head: bytes) -> None:
        assert self.entered is None
        self.entered = "http", head

    def enter_websocket(self, transport: object, head: bytes, rest: bytes) -> None:
        assert self.entered is None
        assert head.endswith(b"\r\n\r\n") and head.count(b"\r\n\r\n") == 1, "the head alone"
        self.entered = "websocket", head + rest

    def door_opens(self, one: door.Door) -> bool:
        self.doors += 1
        return True

    def door_closes(self, one: door.Door) -> None:
        self.doors -= 1


def _knock(pieces: Sequence[bytes]) -> str:
    """What becomes of a connection that sends these pieces."""
    rooms, transport = _Rooms(), _Transport()
    one = door.Door(rooms)
    one.connection_made(transport)  # type: ignore[arg-type] # as much of one as it needs
    came = b""
    for piece in pieces:
        came += piece
        one.data_received(piece)
        if rooms.entered is not None:
            assert rooms.entered[1] == came.lstrip(b"\r\n"), (
                "every byte goes on to the room, but for empty lines before the request"
            )
            assert transport.open and not transport.written
            break
        if not transport.open:
            assert transport.written.startswith(b"HTTP/1.1 431 ")
            break
    one.connection_lost(None)
    assert rooms.doors == 0
    return rooms.entered[0] if rooms.entered else "waiting" if transport.open else "refused"


def request(data: bytes) -> None:
    """The door's first request; the first byte says into how large pieces the rest is cut."""
    step = 1 + data[0] if data else 1
    request = data[1:]
    whole = _knock([request])
    cut = _knock([request[position : position + step] for position in range(0, len(request), step)])
    assert whole == cut or (cut == "refused" and len(request) > door.MAX_HEAD), (
        "the cuts decide where it leads"
    )


# --- a camera, its channel and its viewers ---


class _Viewer:
    """Takes what it is offered, unless it is behind, and looks whether a player could use it."""

    def __init__(self) -> None:
        self.who = "192.0.2.1"
        self.drops = 0
        self.behind = False
        self._ready: dict[int, bool] = {}  # by track: whether a keyframe has come since it began
        self._last: dict[int, int] = {}  # microseconds of the last frame

    def tell(self, message: control.Message) -> None:
        assert control.encode(message)
        if isinstance(message, control.TrackEnds):
            del self._ready[message.number]

    def begin(self, number: int, init: bytes) -> None:
        assert init
        self._ready[number] = False

    def catch_up(self, fragments: Sequence[Fragment]) -> None:
        assert fragments[0].key
        for fragment in fragments:
            assert fragment.number in self._ready, "a frame of a track that was not announced"
            self._ready[fragment.number] = True

    def offer(self, fragment: Fragment) -> bool:
        assert fragment.number in self._ready, "a frame of a track that was not announced"
        if self.behind:
            self.drops += 1
            self._ready[fragment.number] = False
            return True
        if not fragment.key and not self._ready[fragment.number]:
            return True  # as a session does
        self._ready[fragment.number] = True
        is_webm = fragment.data.startswith(b"\x1f\x43\xb6\x75")
        moment = int.from_bytes(
            fragment.data[10:18] if is_webm else fragment.data[64:72], "big"
        ) * (1000 if is_webm else 1)
        assert moment > self._last.get(fragment.number, -1), "time goes back"
        self._last[fragment.number] = moment
        return False

    def offer_all(self, run: Run) -> bool:
        return run.one_by_one(self)


class _Camera:
    def __init__(self) -> None:
        self.ended = False

    def tell(self, message: control.Message) -> None:
        assert control.encode(message)
        assert not self.ended

    def end(self, closing: Closing) -> None:
        self.ended = True


# Pieces of real recordings, so that a short input can film.
FILMS = [recording.data[:12_000] for recording in recordings()]

_REASONS = (None, "viewers", "unwatched", "camera", "background", "interrupted")


class _House:
    """One channel with up to four viewers and one camera after the other."""

    def __init__(self, choices: Choices) -> None:
        self.now = 0
        self._choices = choices
        policy = Policy(
            [*PausePolicy][choices.upto(2)], frozenset(("porch",) if choices.upto(1) else ())
        )
        self._budget = Budget(MAX_MEMORY)
        self._channel = Channel("porch", lambda: self.now, 0, lambda: None, policy, self._budget)
        self._ledger = Ledger(self._budget, lambda: self.now)
        self._source = Source(self._channel, lambda: self.now)
        self._viewers = [_Viewer() for _ in range(4)]
        self._here: set[_Viewer] = set()
        self._places: dict[int, int] = {}  # by stream: how much of its film was sent
        self._arrive()

    def _arrive(self) -> None:
        self._camera = _Camera()
        self._source.close()
        self._source = Source(self._channel, lambda: self.now, self._ledger.account("192.0.2.1"))
        self._channel.take(self._camera)

    def step(self) -> None:
        """One thing happens."""
        acts = (
            self._film,
            self._media,
            self._stream,
            self._end,
            self._view,
            self._say,
            self._wait,
            self._change,
            self._turn,
        )
        acts[self._choices.upto(len(acts) - 1)]()
        assert 0 <= self._budget.used <= MAX_MEMORY

    def finish(self) -> None:
        """All go; nothing may be left."""
        self._channel.leave(self._camera, "left")
        self._source.close()
        for viewer in self._here:
            self._channel.part(viewer)
        self._channel.report()
        assert self._channel.deserted
        assert self._budget.used == self._ledger.held("192.0.2.1") == 0, "memory is held for nobody"

    def _film(self) -> None:
        """Go on with a recording."""
        number = 1 + self._choices.upto(7)
        film = FILMS[self._choices.upto(len(FILMS) - 1)]
        begin = self._places.get(number, 0)
        self._places[number] = end = begin + 40 * (1 + self._choices.upto(255))
        self._feed(number, film[begin:end])

    def _media(self) -> None:
        self._feed(1 + self._choices.upto(8), self._choices.take(self._choices.upto(255)))

    def _feed(self, number: int, data: bytes) -> None:
        try:
            half = (
                len(data) // 2 if len(data) % 2 else len(data)
            )  # odd ones come in two messages and go on together
            self._source.feed(bytes([number]) + data[:half], hold=True)
            if half < len(data):
                self._source.feed(bytes([number]) + data[half:], hold=True)
            self._channel.flush()
            self._source.settle()
            assert self._source.held <= self._ledger.held("192.0.2.1")
        except Refused:
            self._channel.leave(self._camera, "media")
            self._arrive()

    def _stream(self) -> None:
        number = 1 + self._choices.upto(7)
        at = self.now + self._choices.upto(2**32) - 2**31 if self._choices.upto(1) else None
        delay = self._choices.upto(control.MAX_DELAY) if self._choices.upto(1) else None
        self._source.begin(number, at, delay, bool(self._choices.upto(1)))
        self._places.pop(number, None)

    def _end(self) -> None:
        try:
            self._source.end(1 + self._choices.upto(7))
        except Refused:
            self._channel.leave(self._camera, "media")
            self._arrive()

    def _view(self) -> None:
        viewer = self._viewers[self._choices.upto(3)]
        match self._choices.upto(6):
            case 0 | 1:
                self._channel.join(viewer)
                self._here.add(viewer)
            case 2:
                self._channel.part(viewer)
                self._here.discard(viewer)
            case 3:
                self._channel.rest(viewer)
                self._here.add(viewer)
            case 4 | 5 as wish:
                self._channel.vote(viewer, wish == 4)
            case _:
                viewer.behind = not viewer.behind

    def _say(self) -> None:
        state = (State.LIVE, State.PAUSED)[self._choices.upto(1)]
        self._channel.camera_says(state, _REASONS[self._choices.upto(len(_REASONS) - 1)])
        self._channel.camera_encodes(
            self._choices.upto(control.MAX_DELAY) if self._choices.upto(1) else None
        )

    def _wait(self) -> None:
        self.now += self._choices.upto(20_000_000)
        self._channel.sweep()

    def _turn(self) -> None:
        """The camera tells what it turns, or somebody wishes that it turns."""
        numbers = [self._choices.upto(2**16) - 2**15 for _ in range(3)]
        if self._choices.upto(1):
            least, most, now = numbers
            axis = control.Axis(least, most, now=now) if least < most else None
            self._channel.camera_turns(control.Turns(axis, axis if now > 0 else None))
            return
        pan, tilt, zoom = (number if number > 0 else None for number in numbers)
        if pan is tilt is zoom is None:
            return
        wish = control.Orient(pan, tilt, zoom)
        before = self._channel.turns
        try:
            position = self._channel.orient(wish)
        except NotTurned as error:
            assert str(error)
        else:
            axes = before.axes()
            assert all(
                axes[name].min <= value <= axes[name].max for name, value in wish.wishes().items()
            )
            assert wish.wishes().items() <= position.items()

    def _change(self) -> None:
        match self._choices.upto(4):
            case 0:
                self._arrive()  # without a good-bye of the one before
            case 1:
                self._channel.leave(self._camera, ("left", "lost")[self._choices.upto(1)])
                self._arrive()
            case 2:
                self._channel.want_keyframe()
            case 3:
                viewer, names = (
                    self._viewers[self._choices.upto(3)],
                    (codec.value for codec in Codec if self._choices.upto(1)),
                )
                self._channel.plays(
                    viewer,
                    (Plays.of(names), Plays(), Plays().without(Codec.OPUS))[self._choices.upto(2)],
                )
            case _:
                self._channel.report()
                self._channel.timing()


# Things that happen to one house.
_STEPS = 200


def camera(data: bytes) -> None:
    """Source and Channel: control messages, media, time and viewers in any order."""
    choices = Choices(data)
    house = _House(choices)
    for _ in range(_STEPS):
        if not choices:
            break
        house.step()
    house.finish()


TARGETS: dict[str, Target] = {
    "webm": webm,
    "mp4": mp4,
    "stream": stream,
    "h264-frames": h264_frames,
    "h264-sets": h264_sets,
    "pictures": pictures,
    "sound": sound,
    "message": message,
    "request": request,
    "camera": camera,
}
