"""drawercam.live.viewers and pausing: who is there, who votes, what a camera is told, no
channel.
"""

from __future__ import annotations

from drawercam.live.pausing import MAX_NAMED, SLEEP_AFTER, PausePolicy, Pausing, Policy
from drawercam.live.viewers import VOTE_LIFETIME, Follower, Fragment, Run, Viewer, Viewers
from drawercam.protocol import messages as control


class Person(Follower):
    """A viewer that remembers what it was told and offered."""

    def __init__(self, who: str) -> None:
        super().__init__()
        self.who = who
        self.told: list[control.Message] = []
        self.offered: list[Fragment] = []

    def tell(self, message: control.Message) -> None:
        self.told.append(message)

    def begin(self, number: int, init: bytes) -> None:
        pass

    def catch_up(self, fragments: object) -> None:
        pass

    def offer(self, fragment: Fragment) -> bool:
        self.offered.append(fragment)
        return fragment.key

    def offer_all(self, run: Run) -> bool:
        return run.one_by_one(self)


def watching(*people: Viewer) -> Viewers:
    viewers = Viewers()
    for person in people:
        viewers.present.add(person)
        assert viewers.watch(person) and not viewers.watch(person)
    return viewers


def test_all_are_told_and_their_drops_are_counted() -> None:
    ann, bob = Person("10.0.0.1"), Person("10.0.0.2")
    viewers = watching(ann, bob)
    assert viewers.look_away(bob) and not viewers.look_away(bob)
    viewers.tell(control.Viewers(1))
    ann.drops, bob.drops = 2, 3
    assert ann.told == bob.told == [control.Viewers(1)]
    assert viewers.drops == 5
    assert [(one["watching"], one["drops"]) for one in viewers.report(0)] == [(True, 2), (False, 3)]


def test_votes_lapse() -> None:
    ann = Person("10.0.0.1")
    viewers = watching(ann)
    viewers.watching[ann] = 1
    assert viewers.voters(VOTE_LIFETIME) == ["10.0.0.1"]
    assert viewers.voters(VOTE_LIFETIME + 1) == []
    assert [one["votes"] for one in viewers.report(VOTE_LIFETIME)] == [True]
    assert [one["votes"] for one in viewers.report(VOTE_LIFETIME + 1)] == [False]


def test_a_run_is_offered_frame_by_frame() -> None:
    ann = Person("10.0.0.1")
    key, other = Fragment(1, True, b"a"), Fragment(1, False, b"b")
    assert Run([key, other]).one_by_one(ann) and ann.offered == [key, other]
    assert not Run([other, other]).one_by_one(ann)


def test_a_camera_is_told_once_to_pause_and_to_go_on() -> None:
    people = [Person(f"10.0.0.{number}") for number in range(1, MAX_NAMED + 2)]
    viewers, pausing = watching(*people), Pausing("porch", Policy(PausePolicy.ALL), 0)
    for person in people[1:]:
        viewers.watching[person] = 0
    assert pausing.news(viewers, 1) is None
    viewers.watching[people[0]] = 1
    who = tuple(person.who for person in people[:MAX_NAMED])
    paused = control.CameraPause("viewers", who, len(people), len(people))
    assert pausing.news(viewers, 1) == paused
    assert pausing.news(viewers, 2) is None
    viewers.watching[people[0]] = None
    assert isinstance(pausing.news(viewers, 3), control.Resume)
    assert pausing.news(viewers, 4) is None


def test_a_camera_sleeps_when_nobody_has_watched_for_a_while() -> None:
    viewers, pausing = Viewers(), Pausing("porch", Policy(), 0)
    assert pausing.news(viewers, SLEEP_AFTER - 1) is None
    pausing.watched(5)
    assert pausing.news(viewers, SLEEP_AFTER) is None
    assert pausing.news(viewers, SLEEP_AFTER + 5) == control.CameraPause("unwatched")
    pausing.begin(SLEEP_AFTER + 6)  # another camera comes, and films
    assert pausing.news(viewers, SLEEP_AFTER + 7) is None
    awake = Pausing("porch", Policy(always_on=frozenset({"porch"})), 0)
    assert awake.news(viewers, 10 * SLEEP_AFTER) is None
