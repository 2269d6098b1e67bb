"""Which keys the printed links hold, and what is said where one is missing."""

from __future__ import annotations

from pathlib import Path

from drawercam.access.keys import Keyring
from drawercam.outer_address import Outside
from drawercam.printed_links import PrintedLinks
from drawercam.whereabouts import Whereabouts


def test_a_relay_without_keys_prints_plain_links_and_no_command() -> None:
    where = Whereabouts(False, ["127.0.0.1"], Outside(), None)
    where.port = 8080
    links = PrintedLinks(None, where, None)
    assert links.film() == ["http://localhost:8080/camera.html"]
    assert links.own(terminal=True) == ("", "") and not list(links.missing())
    assert (
        links.elsewhere()
        == "Watch at http://localhost:8080/player.html, film at http://localhost:8080/camera.html"
    )


def test_the_first_start_shows_the_owners_key_to_a_terminal_and_to_nobody_else(
    tmp_path: Path,
) -> None:
    ring, where = Keyring.open(tmp_path), Whereabouts(True, None, Outside(), None)
    links = PrintedLinks(ring, where, tmp_path)
    film, watch = ring.for_links()
    assert film and watch
    assert links.film()[0].endswith(f"#key={film.secret}") and links.watch()[0].endswith(
        f"#key={watch.secret}"
    )
    link, command = links.own(terminal=False)
    assert not link and "--own" in command and str(tmp_path) in command
    link, command = links.own(terminal=True)
    assert "#key=" in link and not command


def test_a_link_without_its_key_says_how_to_make_one(tmp_path: Path) -> None:
    ring = Keyring.open(tmp_path)
    film, _ = ring.for_links()
    assert film
    ring.revoke(film.id)
    ring.refresh()
    links = PrintedLinks(ring, Whereabouts(True, None, Outside(), None), tmp_path)
    assert "#key=" not in links.film()[0]
    ((sentence, command),) = links.missing()
    assert "link to Film has no key" in sentence and "--publish" in command
