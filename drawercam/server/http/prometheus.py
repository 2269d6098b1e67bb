"""What Prometheus reads (docs/metrics.md), through `prometheus_client`, which may be missing: then
this module cannot be imported.

Nothing is counted for it: a scrape reads the numbers that the relay keeps anyway, and works out the
rest.
"""

from __future__ import annotations

import importlib.metadata
import platform
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from drawercam.live.channel import Channel, State
from drawercam.live.counters import BOUNDS, Histogram, Tally, Traffic
from drawercam.live.hub import MAX_AWAITED, MAX_MEMORY_IN_ALL, Hub
from drawercam.live.timing import Parts
from groundwork.bootstrap import IS_INSTALLED
from groundwork.connections import limits

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format, which every version of it reads."""

_SECOND = 1e6  # of the relay's clock

_LIMITS = {
    "cameras": limits.MAX_CAMERAS,
    "awaited_names": MAX_AWAITED,
    "sockets": limits.MAX_SOCKETS,
    "sockets_of_one_address": limits.MAX_SOCKETS_OF_ONE,
    "pages": limits.MAX_PAGES,
    "pages_of_one_address": limits.MAX_PAGES_OF_ONE,
}


@dataclass(frozen=True, slots=True)
class _Camera:
    """One camera that is connected. Times are microseconds, None while unknown."""

    name: str
    live: bool
    viewers: int
    idle: int | None
    parts: Parts
    frames: int
    bytes: int
    sent: int
    dropped: int
    keyframe_requests: int

    @classmethod
    def of(cls, channel: Channel) -> _Camera:
        tally, dropped = channel.tally, channel.tally.drops + channel.drops
        return cls(
            name=channel.name,
            live=channel.state is State.LIVE,
            viewers=channel.watching,
            idle=channel.idle(),
            parts=channel.timing(),
            frames=tally.video + tally.audio,
            bytes=tally.bytes,
            sent=tally.offered - dropped,
            dropped=dropped,
            keyframe_requests=tally.keyframe_requests,
        )


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen of one relay in one moment; nothing in it changes any more."""

    uptime: int
    states: Mapping[State, int]
    watching: int
    resting: int
    walls: int
    remembered: int
    tally: Tally
    traffic: Traffic
    cameras: Sequence[_Camera]


class Metrics:
    """Looks at one relay, and writes down what it saw."""

    def __init__(self, hub: Hub, traffic: Callable[[], Traffic], waiting_limit: int) -> None:
        """
        Args:
            hub: The cameras.
            traffic: Asked at each look; what it gives is the caller's to keep.
            waiting_limit: Bytes that may wait in all sockets together.
        """
        self._hub = hub
        self._traffic = traffic
        self._waiting_limit = waiting_limit
        self._process = ProcessCollector(registry=None)
        self._version = _version()

    def look(self) -> Look:
        """The numbers of now.

        To be called where the relay runs, which does nothing else meanwhile.
        """
        hub = self._hub
        shown, channels = hub.cameras(), hub.channels
        return Look(
            uptime=hub.clock(),
            states=Counter(one.state for one in shown),
            watching=sum(one.watching for one in channels),
            resting=sum(one.resting for one in channels),
            walls=hub.walls,
            remembered=hub.remembered,
            tally=hub.tally(),
            traffic=self._traffic(),
            # They are MAX_CAMERAS at most; those that have gone keep no series.
            cameras=[_Camera.of(one) for one in shown if one.camera is not None],
        )

    def write(self, look: Look) -> bytes:
        """In Prometheus' text format.

        May be called elsewhere: it takes much longer than to look.
        """
        return generate_latest(
            _Written(
                [
                    *self._relay(look),
                    *_frames(look),
                    *_cameras(look.cameras),
                    *self._process.collect(),
                ]
            )
        )

    def _relay(self, look: Look) -> Iterator[Metric]:
        traffic = look.traffic
        build = {
            "version": self._version,
            "python": platform.python_version(),
            "loop": traffic.loop,
        }
        yield _gauges(
            "drawercam_build_info",
            "Always 1; the labels say what runs.",
            tuple(build),
            {tuple(build.values()): 1},
        )
        yield _gauge("drawercam_uptime_seconds", "Since the relay started.", look.uptime / _SECOND)
        yield _gauges(
            "drawercam_cameras",
            (
                "Cameras that the wall shows, by state; gone are those that went in the last "
                "day, of which 100 are remembered."
            ),
            ("state",),
            {(state.value,): look.states.get(state, 0) for state in State},
        )
        yield _gauges(
            "drawercam_viewers",
            "Viewers that take frames (watching), and those whose page is hidden (resting).",
            ("doing",),
            {("watching",): look.watching, ("resting",): look.resting},
        )
        yield _gauge("drawercam_walls", "Pages that are shown the list of cameras.", look.walls)
        yield _gauges(
            "drawercam_connections",
            (
                "Connections that are through TLS: whose first request is awaited (door), for "
                "pages (http), for sockets (socket)."
            ),
            ("room",),
            {
                ("door",): traffic.doors,
                ("http",): traffic.http - traffic.streams,
                ("socket",): traffic.websockets + traffic.streams,
            },
        )
        yield _gauges(
            "drawercam_sockets",
            "Sockets of cameras, viewers and walls: WebSockets, or the same over HTTP.",
            ("way",),
            {("websocket",): traffic.websockets, ("http",): traffic.streams},
        )
        yield _gauge(
            "drawercam_file_readers", "Programs that read a camera as a file.", traffic.readers
        )
        yield _gauge(
            "drawercam_decoders",
            "Processes that decode for programs that ask for single pictures.",
            traffic.decoders,
        )
        yield _counter(
            "drawercam_pictures_decoded_total", "Pictures that these have decoded.", traffic.decoded
        )
        yield _counter(
            "drawercam_connections_accepted_total",
            "Connections that came, and were through TLS.",
            traffic.connections,
        )
        yield _counter(
            "drawercam_sockets_begun_total",
            "Sockets that began, also those that were refused then.",
            traffic.sockets,
        )
        yield _counter(
            "drawercam_http_requests_total", "Requests that were no WebSockets.", traffic.requests
        )
        yield _counter(
            "drawercam_control_messages_total",
            "Control messages that came, of all kinds.",
            traffic.messages,
        )
        yield _counters(
            "drawercam_refusals_total",
            "Requests and sockets that were refused, by the id in the answer.",
            ("id",),
            {(name,): count for name, count in sorted(traffic.refusals.items())},
        )
        yield _counter(
            "drawercam_wrong_keys_total", "Keys that were tried and are none.", traffic.wrong_keys
        )
        yield _histogram(
            "drawercam_loop_lag_seconds",
            "How late the event loop was, once a second; to about 1 ms.",
            traffic.loop_lag,
        )
        yield _gauges(
            "drawercam_limit",
            "The most of each that there may be.",
            ("of",),
            {(name,): limit for name, limit in ({"connections": traffic.room} | _LIMITS).items()},
        )
        yield _gauges(
            "drawercam_limit_bytes",
            "The most bytes of each that there may be.",
            ("of",),
            {("remembered",): MAX_MEMORY_IN_ALL, ("waiting",): self._waiting_limit},
        )


class _Written:
    """What `generate_latest` takes."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _frames(look: Look) -> Iterator[Metric]:
    tally = look.tally
    yield _counters(
        "drawercam_frames_received_total",
        "Frames that came from cameras and could be passed on.",
        ("kind",),
        {("video",): tally.video, ("audio",): tally.audio},
    )
    yield _counter(
        "drawercam_keyframes_received_total",
        "Of the video, frames with which decoding can start.",
        tally.keyframes,
    )
    yield _counter(
        "drawercam_frames_unusable_total",
        "Frames from before the first keyframe, which nobody can use.",
        tally.unusable,
    )
    yield _counter(
        "drawercam_received_bytes_total",
        "Bytes of the frames that came, without their containers.",
        tally.bytes,
    )
    yield _counter(
        "drawercam_frames_sent_total",
        "Frames written to viewers as they came. Those replayed to who joins are not among them.",
        tally.offered - tally.drops,
    )
    yield _counter(
        "drawercam_sent_bytes_total",
        "Bytes of all messages to all peers, before TLS and without Pings.",
        look.traffic.written,
    )
    yield _counter(
        "drawercam_frames_dropped_total",
        (
            "Frames left out for viewers whose network was behind, and for them up to the next "
            "keyframe."
        ),
        tally.drops,
    )
    yield _counter(
        "drawercam_keyframe_requests_total",
        "How often cameras were asked for a keyframe.",
        tally.keyframe_requests,
    )
    yield _counter(
        "drawercam_joins_total", "How often somebody began to watch a camera.", tally.joins
    )
    yield _gauge(
        "drawercam_remembered_bytes",
        "Frames since the last keyframes, kept for those who join.",
        look.remembered,
    )
    yield _gauge(
        "drawercam_waiting_bytes",
        "Bytes that networks had not taken at the last look, a second ago at most.",
        look.traffic.waiting,
    )
    yield _histogram(
        "drawercam_uplink_delay_seconds",
        (
            "From a picture's capture to its arrival at the relay, as far as the relay knows "
            "when it was captured."
        ),
        tally.uplink,
    )
    yield _histogram(
        "drawercam_relay_delay_seconds",
        (
            "From a picture's arrival until it was offered to all viewers. What their networks "
            "and players take, the relay does not know."
        ),
        tally.stay,
    )


def _cameras(cameras: Sequence[_Camera]) -> Iterator[Metric]:
    def gauge(name: str, text: str, value: Callable[[_Camera], float | None]) -> Metric:
        found = ((one.name, value(one)) for one in cameras)
        return _gauges(
            name,
            text,
            ("camera",),
            {(camera,): number for camera, number in found if number is not None},
        )

    def counter(name: str, text: str, value: Callable[[_Camera], int]) -> Metric:
        return _counters(name, text, ("camera",), {(one.name,): value(one) for one in cameras})

    yield gauge("drawercam_camera_live", "1 while it films, else 0.", lambda one: one.live)
    yield gauge(
        "drawercam_camera_viewers", "Viewers that take its frames.", lambda one: one.viewers
    )
    yield gauge(
        "drawercam_camera_idle_seconds",
        "Since its last frame came.",
        lambda one: _seconds(one.idle),
    )
    yield gauge(
        "drawercam_camera_encode_seconds",
        "From capture to the camera's socket, lately; missing while the camera does not say.",
        lambda one: _seconds(one.parts.encode),
    )
    yield gauge(
        "drawercam_camera_uplink_seconds",
        (
            "From the camera's socket to the relay, median of the last pictures; from the "
            "capture while the former is missing."
        ),
        lambda one: _seconds(one.parts.uplink),
    )
    yield counter(
        "drawercam_camera_frames_received_total", "Its frames that came.", lambda one: one.frames
    )
    yield counter(
        "drawercam_camera_received_bytes_total", "Bytes of these frames.", lambda one: one.bytes
    )
    yield counter(
        "drawercam_camera_frames_sent_total",
        "Its frames that were written to viewers as they came.",
        lambda one: one.sent,
    )
    yield counter(
        "drawercam_camera_frames_dropped_total",
        "Its frames that were left out for viewers.",
        lambda one: one.dropped,
    )
    yield counter(
        "drawercam_camera_keyframe_requests_total",
        "How often it was asked for a keyframe.",
        lambda one: one.keyframe_requests,
    )


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value)


def _gauges(
    name: str, text: str, labels: tuple[str, ...], values: dict[tuple[str, ...], float]
) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for of, value in values.items():
        family.add_metric(of, value)
    return family


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value)


def _counters(
    name: str, text: str, labels: tuple[str, ...], values: dict[tuple[str, ...], int]
) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for of, value in values.items():
        family.add_metric(of, value)
    return family


def _histogram(name: str, text: str, delays: Histogram) -> Metric:
    """Prometheus' classes are cumulative: each counts all delays up to its bound."""
    up_to, buckets = 0, []
    for bound, count in zip(
        (*(str(one / _SECOND) for one in BOUNDS), "+Inf"), delays.counts, strict=True
    ):
        up_to += count
        buckets.append((bound, float(up_to)))
    return HistogramMetricFamily(name, text, buckets, delays.total / _SECOND)


def _seconds(span: int | None) -> float | None:
    return None if span is None else span / _SECOND


def _version() -> str:
    """The project's own, from the one place where it stands; the installed program was told it."""
    if IS_INSTALLED:
        return importlib.metadata.version("drawercam")
    project = Path(__file__).resolve().parents[3] / "pyproject.toml"
    try:
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])
    except (OSError, KeyError, tomllib.TOMLDecodeError):
        return ""
