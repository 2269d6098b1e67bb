"""What the bench of the fan-out computes, and that its servers and viewers understand each
other.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from array import array
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from websockets.frames import Frame, Opcode

from bench import fanout
from bench.actors.contestants import NAME, Case, FloorServer, RelayServer, Server, missing_node
from bench.actors.remote import Remote
from bench.actors.scripted_camera import Mark
from bench.actors.sinks import Joined, Seen, Sinks
from bench.runs.turns import FASTEST, LOAD, Cores, Rush, Turn, counted, rate_for, ratio
from drawercam.media.containers.webm_writer import WebmWriter
from drawercam.media.packets import Codec, Packet, Track
from tests.harness.peers import PATIENCE

TURN = Turn("relay", 30.0, 10e-6, 0.5, 1.0, 5.0, 0.0, 40_000, 500.0, 0.4, "")
JOINED = Joined(1.0, 2.0, 0, 0)


def seen(*pictures: tuple[int, float, float]) -> Seen:
    numbers, captured, arrived = zip(*pictures, strict=True) if pictures else ((), (), ())
    return Seen(array("Q", numbers), array("d", captured), array("d", arrived), 0.0, 0, "")


def test_a_message_has_the_size_that_the_case_says() -> None:
    track = Track(Codec.VP8, "vp8", width=640, height=480)
    for size in (2_000, 12_000, 60_000):
        case = Case(200, size, tls=False)
        for key in (False, True):
            message = WebmWriter(track, 1, 0).fragment(
                Packet(track, 5, key, Mark(3, 1.5).frame(key, case.picture))
            )
            assert len(message) == size
            assert (
                len(Frame(Opcode.BINARY, message).serialize(mask=False, extensions=[]))
                == case.framed
            )


def test_messages_count_when_they_arrive_and_their_delays_when_they_were_captured() -> None:
    early, first, second, late = (1, 0.9, 1.1), (2, 1.2, 1.25), (3, 1.4, 1.5), (4, 1.9, 2.1)
    arrived, delays, missed = counted(
        seen(early, early, first, first, second, late, late), 1.0, 2.0, viewers=2
    )
    assert arrived == 5
    assert delays == pytest.approx([50, 50, 100, 200, 200])
    assert missed == pytest.approx(1 / 6)


def test_where_nothing_came_everything_was_missed() -> None:
    assert counted(seen(), 0.0, 1.0, viewers=2) == (0, [], 1.0)


def test_half_load_is_half_of_a_processor() -> None:
    assert rate_for(10e-6, 200) * 200 * 10e-6 == pytest.approx(LOAD)
    assert rate_for(1e-6, 5) == FASTEST


def test_a_ratio_is_that_of_the_rounds_and_not_of_the_sums() -> None:
    relays = [replace(TURN, cost=cost) for cost in (10e-6, 30e-6, 12e-6)]
    floors = [replace(TURN, cost=cost) for cost in (10e-6, 10e-6, 10e-6)]
    assert ratio(relays, floors) == pytest.approx(1.2)
    assert ratio(relays, []) is None


@pytest.mark.parametrize(
    ("relay", "verdicts"),
    [
        (TURN, [True, True, True, True]),
        (replace(TURN, cost=16e-6), [False, True, True, True]),
        (replace(TURN, cost=18e-6), [False, False, True, True]),
        (replace(TURN, p99=10.5), [True, True, False, True]),
        (replace(TURN, memory=100_500), [True, True, True, False]),
    ],
)
def test_each_claim_is_told_by_its_own_number(relay: Turn, verdicts: list[bool]) -> None:
    comparison = fanout.Comparison(Case(200, 12_000, tls=True))
    for one in (
        relay,
        replace(TURN, server="node", cost=20e-6),
        replace(TURN, server="floor", cost=14e-6),
    ):
        comparison.add(one)
    assert [target.reached for target in comparison.targets()] == verdicts
    assert "relay" in comparison.table()


def test_without_node_there_is_no_verdict_about_it() -> None:
    comparison = fanout.Comparison(Case(200, 12_000, tls=False))
    comparison.add(TURN)
    comparison.add(replace(TURN, server="floor"))
    assert [target.reached for target in comparison.targets()] == [None, True]


def test_of_other_cases_nothing_is_claimed() -> None:
    comparison = fanout.Comparison(Case(50, 12_000, tls=True))
    comparison.add(TURN)
    assert comparison.targets() == []


@pytest.mark.parametrize(
    ("change", "verdicts"),
    [
        ({}, [True, True]),
        ({"gap": 250.0}, [True, False]),
        ({"joined": Joined(1.0, 5.5, 0, 0)}, [False, True]),
        ({"joined": Joined(None, None, 9, 3)}, [False, True]),
        ({"count": 100}, [None, None]),
    ],
)
def test_of_several_rushes_the_worst_counts(
    change: dict[str, object], verdicts: list[bool | None]
) -> None:
    good = Rush("relay", True, 1000, JOINED, 40.0, 120.0)
    rushes = [good, replace(good, **change), replace(good, server="node", gap=900.0)]  # type: ignore[arg-type]
    if "count" in change:
        rushes = rushes[1:]
    assert [target.reached for target in fanout.rush_targets(rushes)] == verdicts
    assert "relay TLS" in fanout.rushes_table(rushes)


@pytest.mark.parametrize(
    ("arguments", "ways"), [([], [False, True]), (["--tls"], [True]), (["--plain"], [False])]
)
def test_ways_are_chosen(arguments: list[str], ways: list[bool]) -> None:
    assert fanout.options(arguments).ways == ways


@pytest.mark.parametrize(
    "wrong", [["--rounds", "0"], ["--viewers", "2"], ["--sizes", "0"], ["--viewers", "many"]]
)
def test_wrong_options_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        fanout.options(wrong)
    assert "error" in capsys.readouterr().err


def test_without_node_a_sentence_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Node" in missing_node()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("kind", [FloorServer, RelayServer])
async def test_what_the_camera_sends_comes_to_every_viewer(
    kind: Callable[..., Server], tls: bool, tmp_path: Path
) -> None:
    case = Case(3, 20_000, tls)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(kind(case, fanout.cores().server, tmp_path))
        film = await stack.enter_async_context(server.film(server.address, NAME, case.picture))
        sinks = await stack.enter_async_context(Sinks(server.address, f"/player/{NAME}"))
        joined = await sinks.join(case.viewers)
        assert joined.without == 0 and joined.opened is not None and joined.pictured is not None
        await sinks.take()
        counts: Counter[int] = Counter()
        async with asyncio.timeout(PATIENCE):
            # On a busy computer a relay leaves out what would be late.
            while not any(
                all(counts[number + more] == case.viewers for more in range(4))
                for number in list(counts)
            ):
                await asyncio.sleep(0.1)
                taken = await sinks.take()
                counts.update(taken.numbers)
        assert max(counts.values()) == case.viewers
        assert (taken.cipher != "") is tls
        assert taken.gone == 0 and film.fault() == ""


async def test_another_process_can_be_bound_to_one_processor() -> None:
    core = fanout.cores().others
    async with Remote(Where, core=core) as where:
        assert await where.ask("processors") == {core}


class Where:
    """Tells where it runs."""

    async def __aenter__(self) -> Where:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        pass

    def processors(self) -> set[int]:
        return os.sched_getaffinity(0)


def test_cores_are_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {3, 5})
    assert fanout.cores() == Cores(server=5, others=3)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {3})
    with pytest.raises(RuntimeError, match="two processors"):
        fanout.cores()


def test_options_of_a_quick_run() -> None:
    chosen: argparse.Namespace = fanout.options(["--quick"])
    assert (chosen.viewers, chosen.sizes, chosen.rush) == ([200], [12], 0)
