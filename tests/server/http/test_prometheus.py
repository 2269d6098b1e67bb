"""What Prometheus reads, from a hub without a server; and that the documents name just that."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("prometheus_client", reason="without prometheus-client there are no metrics")

from prometheus_client.parser import text_string_to_metric_families

from drawercam.live.counters import BOUNDS, Histogram, Tally, Traffic
from drawercam.live.gone import KEPT, Departures
from drawercam.live.hub import Hub
from drawercam.live.keyframes import KEYFRAME_INTERVAL
from drawercam.media.packets import Packet, Track
from drawercam.server.http.prometheus import Metrics
from tests.harness.relays import ROOT
from tests.live.test_channel import KEY_FRAME, PICTURE, SOUND, Clock, FakeCamera, FakeViewer

# The units that Prometheus takes as its own, and what else a name may end with.
BASE_UNITS = ("seconds", "bytes")
FORBIDDEN_UNITS = ("milliseconds", "microseconds", "ms", "us", "kilobytes", "kb", "mb", "percent")


def traffic() -> Traffic:
    return Traffic(
        loop="asyncio",
        doors=2,
        http=5,
        websockets=30,
        streams=3,
        readers=4,
        decoders=1,
        decoded=500,
        connections=100,
        sockets=90,
        requests=40,
        messages=1000,
        written=123_456,
        waiting=77,
        refusals={"no-key": 4, "unknown-path": 1},
        wrong_keys=2,
        room=1500,
        loop_lag=Histogram(),
    )


class House:
    """A hub and what is said of it."""

    def __init__(self) -> None:
        self.clock, self.date = Clock(), 0
        self.hub = Hub(self.clock, departures=Departures(lambda: self.date, lambda: self.date))
        self.metrics = Metrics(self.hub, traffic, 2**28)

    @property
    def text(self) -> str:
        return self.metrics.write(self.metrics.look()).decode()

    def scrape(self) -> dict[str, float]:
        """Each sample by its name and labels, as they stand in the text."""
        lines = [line for line in self.text.splitlines() if not line.startswith("#")]
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}

    def camera(self, name: str, *tracks: Track) -> FakeCamera:
        camera, channel = FakeCamera(), self.hub.channel(name)
        channel.take(camera)
        for track in tracks or (PICTURE,):
            channel.set_track(track, keyframes=True)
        return camera

    def film(
        self, name: str, key: bool = False, track: Track = PICTURE, age: int = 0, size: int = 0
    ) -> int:
        """A frame that was captured so many microseconds ago; returns its bytes."""
        self.clock.time += KEYFRAME_INTERVAL
        data = (KEY_FRAME if key else b"\x11\0\0") + bytes(size)
        self.hub.channel(name).publish(
            Packet(track, self.clock.time - age, key, data), self.clock.time
        )
        return len(data)

    def watch(self, name: str) -> FakeViewer:
        viewer = FakeViewer()
        self.hub.channel(name).join(viewer)
        return viewer


@pytest.fixture
def house() -> House:
    return House()


@given(st.lists(st.integers(-1000, 2 * BOUNDS[-1])))
def test_a_histogram_counts_each_delay_once(delays: list[int]) -> None:
    histogram, other = Histogram(), Histogram()
    for delay in delays:
        histogram.add(delay)
    up_to = list(accumulate(histogram.counts))
    assert up_to[:-1] == [sum(delay <= bound for delay in delays) for bound in BOUNDS]
    assert up_to[-1] == len(delays) and histogram.total == sum(max(0, delay) for delay in delays)
    other.add(1)
    other.include(histogram)
    assert sum(other.counts) == len(delays) + 1 and other.total == histogram.total + 1
    kept = histogram.copy()
    histogram.add(5)
    assert sum(kept.counts) == len(delays)


def test_a_tally_that_is_included_is_included_whole() -> None:
    one, other = Tally(), Tally()
    plain = [name for name in Tally.__slots__ if name not in ("stay", "uplink")]
    for number, name in enumerate(plain, 1):
        setattr(one, name, number)
    one.stay.add(7)
    one.uplink.add(9)
    other.include(one)
    other.include(one)
    assert [getattr(other, name) for name in plain] == [
        2 * number for number, _ in enumerate(plain, 1)
    ]
    assert (other.stay.total, other.uplink.total) == (14, 18)


def test_names_types_and_units_are_those_of_prometheus(house: House) -> None:
    house.camera("porch")
    house.film("porch", key=True)
    families = {family.name: family for family in text_string_to_metric_families(house.text)}
    assert len(families) == house.text.count("# TYPE "), (
        "no two families share a name, also without _total"
    )
    for name, family in families.items():
        assert re.fullmatch(
            r"(drawercam|process)_[a-z_]+[a-z]", name
        ) and family.documentation.endswith(".")
        assert not name.endswith(FORBIDDEN_UNITS)
        assert all(
            re.fullmatch(r"[a-z]+", label) for sample in family.samples for label in sample.labels
        )
        if family.type == "counter":
            assert {sample.name for sample in family.samples} <= {f"{name}_total"}
        if family.type == "histogram":
            assert name.endswith(BASE_UNITS)
            buckets = [sample.value for sample in family.samples if sample.name.endswith("_bucket")]
            (count,) = (sample.value for sample in family.samples if sample.name.endswith("_count"))
            assert (
                buckets == sorted(buckets)
                and buckets[-1] == count
                and len(buckets) == len(BOUNDS) + 1
            )


def test_frames_are_counted_as_they_come_and_go(house: House) -> None:
    house.camera("porch", PICTURE, SOUND)
    house.film("porch")  # before the first keyframe
    first, second = house.watch("porch"), house.watch("porch")
    asked = house.scrape()["drawercam_keyframe_requests_total"]
    sizes = [
        house.film("porch", key=True, size=100, age=20_000),
        house.film("porch", age=300_000),
        house.film("porch", True, SOUND),
    ]
    second.behind = True
    sizes += [house.film("porch"), house.film("porch")]
    found = house.scrape()
    assert found['drawercam_frames_received_total{kind="video"}'] == 4
    assert found['drawercam_frames_received_total{kind="audio"}'] == 1
    assert found["drawercam_keyframes_received_total"] == 1
    assert found["drawercam_frames_unusable_total"] == 1
    assert found["drawercam_received_bytes_total"] == sum(sizes)
    assert found["drawercam_frames_sent_total"] == len(first.fragments) + len(second.fragments) == 8
    assert found["drawercam_frames_dropped_total"] == second.drops == 2
    assert found["drawercam_keyframe_requests_total"] > asked, "for the one that was behind"
    assert found["drawercam_joins_total"] == 2
    for name in (
        "frames_received",
        "received_bytes",
        "frames_sent",
        "frames_dropped",
        "keyframe_requests",
    ):
        of_all = sum(
            value
            for sample, value in found.items()
            if re.match(rf"drawercam_{name}_total\b", sample)
        )
        assert found[f'drawercam_camera_{name}_total{{camera="porch"}}'] == of_all
    assert (
        found["drawercam_uplink_delay_seconds_count"]
        == found["drawercam_relay_delay_seconds_count"]
        == 4
    ), "of pictures"
    assert found["drawercam_uplink_delay_seconds_sum"] == pytest.approx(0.32)
    up_to = {
        bound: found[f'drawercam_uplink_delay_seconds_bucket{{le="{bound}"}}']
        for bound in ("0.01", "0.025", "0.25", "0.5")
    }
    assert up_to == {"0.01": 2, "0.025": 3, "0.25": 3, "0.5": 4}
    assert (
        found['drawercam_camera_live{camera="porch"}'] == 1
        and found["drawercam_remembered_bytes"] > 0
    )


def test_states_and_viewers_are_told(house: House) -> None:
    house.camera("porch")
    house.camera("attic")
    house.film("attic", key=True)
    house.hub.channel("attic").camera_encodes(8_000)
    for _ in range(3):
        house.watch("porch")
    house.hub.channel("attic").rest(FakeViewer())
    house.watch("nowhere")
    house.clock.time += 2_000_000
    found = house.scrape()
    assert {
        state: found[f'drawercam_cameras{{state="{state}"}}']
        for state in ("waiting", "live", "paused", "gone")
    } == {
        "waiting": 1,
        "live": 1,
        "paused": 0,
        "gone": 0,
    }
    assert (
        found['drawercam_viewers{doing="watching"}'] == 4
        and found['drawercam_viewers{doing="resting"}'] == 1
    )
    assert found['drawercam_camera_viewers{camera="porch"}'] == 3
    assert not [sample for sample in found if "nowhere" in sample], (
        "only cameras are named, not what somebody waits for"
    )
    assert found['drawercam_camera_idle_seconds{camera="attic"}'] == 2
    assert found['drawercam_camera_encode_seconds{camera="attic"}'] == 0.008
    assert 'drawercam_camera_idle_seconds{camera="porch"}' not in found
    assert found["drawercam_uptime_seconds"] == house.clock.time / 1e6
    assert (
        found['drawercam_connections{room="http"}'] == 2
        and found['drawercam_connections{room="socket"}'] == 33
    )
    assert (
        found['drawercam_refusals_total{id="no-key"}'] == 4
        and found["drawercam_sent_bytes_total"] == 123_456
    )


def test_a_camera_that_has_gone_takes_its_series_along_and_nothing_of_the_totals(
    house: House,
) -> None:
    def totals() -> dict[str, float]:
        return {
            sample: value
            for sample, value in house.scrape().items()
            if re.match(r"drawercam_(?!camera_)\w+_total", sample)
        }

    before = totals()
    for turn in range(3):
        camera = house.camera("porch")
        viewer = house.watch("porch")
        house.film("porch", key=True)
        viewer.behind = True
        house.film("porch")
        now = totals()
        assert all(now[sample] >= value for sample, value in before.items())
        assert (
            now["drawercam_frames_sent_total"] == turn + 1
            and now["drawercam_frames_dropped_total"] == turn + 1
        )
        assert "porch" in house.text
        house.hub.channel("porch").leave(camera, "lost")
        house.hub.channel("porch").part(viewer)
        house.hub.channel("porch").part(viewer)  # it matters only once
        assert totals() == now and 'camera="porch"' not in house.text
        assert house.scrape()['drawercam_cameras{state="gone"}'] == 1
        house.date += KEPT
        house.hub.sweep()
        assert not house.hub.channels
        assert (before := totals()) == now


# --- the documents ---


def known(house: House) -> dict[str, tuple[str, str, set[str]]]:
    """Type, text and labels of each metric, by its name in the text."""
    house.camera("porch")
    house.film("porch", key=True)
    house.hub.channel("porch").camera_encodes(8_000)
    found = {}
    for family in text_string_to_metric_families(house.text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        found[name] = family.type, family.documentation, labels
    return found


def test_the_table_of_the_document_is_complete_and_true(house: House) -> None:
    text = (ROOT / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(\w+)(?:\{([\w, ]+)\})?` \| (\w+) \| (.+) \|$", text, re.MULTILINE)
    table = {
        name: (kind, words, set(labels.split(", ")) if labels else set())
        for name, labels, kind, words in rows
    }
    assert len(table) == len(rows), "each one once"
    metrics = known(house)
    if not any(
        name.startswith("process_") for name in metrics
    ):  # they come from /proc, which only Linux has
        table = {name: row for name, row in table.items() if not name.startswith("process_")}
    assert table == metrics


def expressions(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for name, value in part.items():
            if name in ("expr", "definition", "query") and isinstance(value, str):
                yield value
            else:
                yield from expressions(value)
    elif isinstance(part, list):
        for one in part:
            yield from expressions(one)


def test_the_dashboard_names_only_what_there_is(house: House) -> None:
    dashboard = json.loads((ROOT / "docs" / "grafana.json").read_text())
    asked = list(expressions(dashboard))
    named = {name for one in asked for name in re.findall(r"\b(?:drawercam|process)_\w+", one)}
    metrics = known(house)
    samples = {name for name, (kind, _, _) in metrics.items() if kind != "histogram"}
    samples |= {f"{name}_bucket" for name, (kind, _, _) in metrics.items() if kind == "histogram"}
    assert (
        len(named) > 20 and {name for name in named if not name.startswith("process_")} <= samples
    )
    for one in asked:
        for name, labels in re.findall(r"(drawercam_\w+)\{([^}]*)\}", one):
            own = set(re.findall(r"(\w+)=", labels)) - {"instance"}
            assert own <= metrics[name.removesuffix("_bucket")][2], (
                f"{name} has no such label: {own}"
            )


def test_the_dashboard_is_one_that_can_be_imported() -> None:
    dashboard = json.loads((ROOT / "docs" / "grafana.json").read_text())
    variables = {one["name"]: one for one in dashboard["templating"]["list"]}
    assert dashboard["id"] is None and variables["datasource"]["type"] == "datasource", (
        "nobody's own data source is named"
    )
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in dashboard["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells) and max(x for x, _ in cells) < 24, (
        "no panel covers another one"
    )
    for panel in panels:
        uids = [
            panel["datasource"]["uid"],
            *(target["datasource"]["uid"] for target in panel["targets"]),
        ]
        assert set(uids) == {"${datasource}"} and panel["title"]
