"""The banner: says what a person needs, in any terminal."""

from __future__ import annotations

import io
import re
import sys
from dataclasses import replace
from itertools import zip_longest

import pytest
import segno

from drawercam.banner import BLOCKS, Facts, Reach, banner, banner_for, can_show_codes, codes_for
from drawercam.server.http.trust_page import rows

FINGERPRINT = ":".join(f"{octet:02X}" for octet in range(0xE0, 0x100))
FACTS = Facts(
    tls=True,
    port=8443,
    camera_url="https://192.168.178.123:8443/camera.html#key=Zk3v9QxT1mB7aLr0YpWc2A",
    player_url="https://192.168.178.123:8443/player.html#key=hT5sN8eRq2Vb6Uj1XoKd4g",
    other_camera_urls=(
        "https://10.0.0.7:8443/camera.html#key=Zk3v9QxT1mB7aLr0YpWc2A",
        "https://drawer.local:8443/camera.html",
    ),
    other_player_urls=("https://10.0.0.7:8443/player.html#key=hT5sN8eRq2Vb6Uj1XoKd4g",),
    trust_url="http://192.168.178.123:8088/trust",
    ca_url="https://192.168.178.123:8443/ca.crt",
    fingerprint=FINGERPRINT,
)
OWN = "https://192.168.178.123:8443/player.html#key=p7Lm2cWx9RkQz4VtYb8sHd"
NO_TRUST_PAGE = replace(FACTS, trust_url="")
WITHOUT_TLS = Facts(
    False,
    8080,
    "http://localhost:8080/camera.html",
    "http://localhost:8080/player.html",
    keys=False,
)
WIDTHS = [20, 40, 41, 60, 77, 78, 80, 100, 200]


def plain(text: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()


def prose(text: str) -> str:
    """Without line breaks, so that a sentence is found wherever it wraps."""
    return " ".join(" ".join(plain(text)).split())


def modules(rows: list[str]) -> list[list[bool]]:
    """A code's modules, dark is True, from its rows of half blocks."""
    upper, lower = (
        {" ": True, "▄": True, "▀": False, "█": False},
        {" ": True, "▀": True, "▄": False, "█": False},
    )
    return [[half[character] for character in row] for row in rows for half in (upper, lower)]


def drawn(url: str, border: int) -> list[list[bool]]:
    code = segno.make(url, error="l", micro=False)
    return [[bool(module) for module in row] for row in code.matrix_iter(border=border)]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("qr", [True, False])
@pytest.mark.parametrize("facts", [FACTS, NO_TRUST_PAGE, replace(FACTS, keys=False), WITHOUT_TLS])
def test_it_says_every_address_and_fits(facts: Facts, width: int, qr: bool) -> None:
    text = banner(facts, width, colour=False, qr=qr)
    lines = plain(text)
    urls = [facts.camera_url, facts.player_url, *facts.other_camera_urls, *facts.other_player_urls]
    urls += [url for url in [facts.trust_url or facts.ca_url] if url]
    for url in urls:
        assert any(line.endswith(url) for line in lines)
    for line in lines:
        assert len(line) <= width or line in (*urls, "python3 relay.py --tls")
    assert facts.fingerprint.replace(":", "") in re.sub("[ :\n]", "", text)
    assert prose(text).endswith("Press Ctrl-C to stop.")
    assert text.endswith("\n")


@pytest.mark.parametrize("width", WIDTHS)
def test_colours_change_nothing_but_colours(width: int) -> None:
    coloured, without = banner(FACTS, width, True, True), banner(FACTS, width, False, True)
    assert plain(coloured) == without.splitlines()
    assert "\x1b" in coloured
    assert "\x1b" not in without
    for line in coloured.splitlines():
        assert line.count("\x1b[0m") == len(re.findall(r"\x1b\[(?!0m)", line))


@pytest.mark.parametrize(("width", "border"), [(115, 2), (126, 2), (127, 4), (200, 4)])
def test_three_codes_stand_side_by_side_where_there_is_room(width: int, border: int) -> None:
    rows = [
        line
        for line in plain(banner(FACTS, width, True, True))
        if line and set(line) <= {*BLOCKS, " "}
    ]
    wanted = [drawn(url, border) for url in (FACTS.camera_url, FACTS.player_url, FACTS.trust_url)]
    assert {len(row) for row in rows} == {sum(map(len, wanted)) + 2 * 4}
    start = 0
    for code in wanted:
        assert modules([row[start : start + len(code)] for row in rows])[: len(code)] == code
        start += len(code) + 4


@pytest.mark.parametrize(("width", "border"), [(78, 2), (80, 2), (86, 4), (114, 4)])
def test_two_codes_stand_side_by_side_where_there_is_room(width: int, border: int) -> None:
    rows = [
        line
        for line in plain(banner(NO_TRUST_PAGE, width, True, True))
        if line and set(line) <= {*BLOCKS, " "}
    ]
    film, watch = drawn(FACTS.camera_url, border), drawn(FACTS.player_url, border)
    size = len(film)
    assert {len(row) for row in rows} == {2 * size + 4}
    assert modules([row[:size] for row in rows])[:size] == film
    assert modules([row[-size:] for row in rows])[:size] == watch


@pytest.mark.parametrize(("width", "border"), [(37, 2), (41, 4), (60, 4), (77, 4)])
def test_elsewhere_they_stand_one_below_the_other(width: int, border: int) -> None:
    rows = [
        line
        for line in plain(banner(NO_TRUST_PAGE, width, False, True))
        if line and set(line) <= {*BLOCKS, " "}
    ]
    film, watch = drawn(FACTS.camera_url, border), drawn(FACTS.player_url, border)
    half = len(rows) // 2
    assert modules(rows[:half])[: len(film)] == film
    assert modules(rows[half:])[: len(watch)] == watch


@pytest.mark.parametrize("width", [41, 80, 114, 127, 200])
def test_the_trust_page_has_a_code_beside_the_others_or_below_its_address(width: int) -> None:
    lines = plain(banner(FACTS, width, False, True))
    captions = [number for number, line in enumerate(lines) if "Trust" in line.split()]
    link = next(number for number, line in enumerate(lines) if line.endswith(FACTS.trust_url))
    if width >= 115:
        assert min(captions) < link and lines[min(captions)].split() == ["Film", "Watch", "Trust"]
        return
    rows = [line for line in lines[link:] if line and set(line) <= {*BLOCKS, " "}]
    code = drawn(FACTS.trust_url, 4)
    assert [row[: len(code)] for row in modules(rows)][: len(code)] == code


@pytest.mark.parametrize(
    ("width", "height"),
    [(60, 24), (80, 24), (80, 40), (80, 50), (100, 24), (120, 24), (200, 24), (200, 50)],
)
def test_what_is_needed_first_is_in_sight(width: int, height: int) -> None:
    """The last line is the one in which the cursor stands."""
    facts = replace(FACTS, own_url=OWN, warnings=("The certificate ends soon.",))
    lines = plain(banner(facts, width, False, True, height))
    seen = lines[-(height - 1) :]
    assert len(lines) > 24 and seen[-1] == "Press Ctrl-C to stop."
    rows = modules([line for line in seen if line and set(line) <= {*BLOCKS, " "}])
    film = drawn(FACTS.camera_url, 4 if width == 200 and height == 50 else 2)
    found = [
        start
        for start in range(len(rows))
        if [row[: len(film)] for row in rows[start : start + len(film)]] == film
    ]
    assert found, "the code Film, whole"
    assert any("Film" in line.split() for line in seen)
    assert any(line.endswith(FACTS.player_url) for line in seen), "the link to watch"
    assert (width < 115 and height < 50) or any(line.endswith(FACTS.trust_url) for line in seen)


def test_codes_of_new_keys_are_drawn_as_those_of_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    urls = {"Film": FACTS.camera_url}
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    rows = codes_for(urls, Terminal(io.BytesIO(), encoding="utf-8")).splitlines()
    assert rows[0].strip() == "Film"
    code = drawn(FACTS.camera_url, 4)
    assert modules(rows[1:])[: len(code)] == code
    assert codes_for(urls, io.TextIOWrapper(io.BytesIO(), encoding="utf-8")) == "", (
        "in a file, nothing can be scanned"
    )
    assert codes_for(urls, Terminal(io.BytesIO(), encoding="cp1252")) == ""
    monkeypatch.setenv("COLUMNS", "30")
    assert "too narrow" in codes_for(urls, Terminal(io.BytesIO(), encoding="utf-8"))


def test_codes_of_different_sizes_stand_side_by_side() -> None:
    facts = replace(NO_TRUST_PAGE, player_url=FACTS.player_url + "&" + "x" * 60)
    rows = [
        line
        for line in plain(banner(facts, 200, False, True))
        if line.startswith((" ", "█", "▀")) and set(line) & set(BLOCKS)
    ]
    film, watch = drawn(facts.camera_url, 4), drawn(facts.player_url, 4)
    assert len(watch) > len(film)
    assert modules([row[: len(film)] for row in rows])[: len(film)] == film
    assert modules([row[-len(watch) :] for row in rows])[: len(watch)] == watch


def test_a_window_too_narrow_for_codes_is_told() -> None:
    text = banner(FACTS, 36, False, True)
    assert not set(text) & set(BLOCKS)
    assert "too narrow for QR codes" in prose(text)


def test_without_codes_it_is_ascii_and_says_what_to_do() -> None:
    text = banner(FACTS, 80, False, False)
    assert text.isascii()
    assert "type the address into the phone" in prose(text)


def test_the_way_past_the_certificate_warning() -> None:
    text = prose(banner(FACTS, 80, False, False))
    assert (
        "open this on it, once, and do what it shows: Trust http://192.168.178.123:8088/trust"
        in text
    )
    assert "choose Advanced, then Proceed" in text
    assert "ca.crt" not in text
    without_page = prose(banner(NO_TRUST_PAGE, 80, False, False))
    assert (
        "install this on it, once; certs/README.md says how: Trust "
        "https://192.168.178.123:8443/ca.crt"
    ) in without_page
    own_certificate = banner(
        replace(FACTS, trust_url="", ca_url="", fingerprint=""), 80, False, False
    )
    assert "Proceed" not in own_certificate
    assert "SHA-256" not in own_certificate


def test_the_fingerprint_stands_in_rows_as_on_the_trust_page() -> None:
    for width in (30, 80, 200):
        text = [line.strip() for line in plain(banner(FACTS, width, False, False))]
        assert [line for line in text if line in rows(FINGERPRINT)] == rows(FINGERPRINT)


def test_what_is_wrong_with_the_certificate_is_said() -> None:
    facts = replace(
        FACTS,
        trust_url="",
        ca_url="",
        fingerprint="",
        warnings=("The certificate own.pem ends in 3 days.", "It is short."),
    )
    text = banner(facts, 80, True, False)
    assert "\x1b[33mWarning: The certificate own.pem ends in 3 days." in text
    assert "\x1b[33mWarning: It is short." in text


def test_keys_and_no_keys() -> None:
    assert "The links contain the keys" in prose(banner(FACTS, 80, False, False))
    open_to_all = banner(replace(FACTS, keys=False), 80, True, False)
    assert "Warning: keys are off (--no-key)." in prose(open_to_all)
    assert "contain the keys" not in prose(open_to_all)
    assert "\x1b[33mWarning" in open_to_all


@pytest.mark.parametrize(
    "facts", [FACTS, replace(FACTS, reach=Reach.HOST), replace(WITHOUT_TLS, keys=True)]
)
def test_the_owners_link_is_printed_as_such_and_never_as_a_code(facts: Facts) -> None:
    shown, bare = (banner(one, 200, False, True) for one in (replace(facts, own_url=OWN), facts))
    assert (
        f"  Own     {OWN}" in shown.splitlines()
        and "for your own phone or computer, not for a wall" in prose(shown)
    )
    codes = [
        [line for line in text.splitlines() if set(line) & set(BLOCKS)] for text in (shown, bare)
    ]
    assert codes[0] == codes[1]
    named = banner(replace(facts, own_command="python3 relay.py keys add --own"), 80, False, False)
    assert (
        "  python3 relay.py keys add --own" in named.splitlines()
        and "only on a terminal" in prose(named)
    )
    assert "Own " not in bare and "--own" not in bare


def test_what_no_phone_can_reach_advises_none_to_scan_or_type_anything() -> None:
    local = replace(
        FACTS, reach=Reach.HOST, command="python3 relay.py --tls --port 9000", trust_url=""
    )
    text = banner(local, 80, False, True)
    assert (
        "because of --host" in prose(text)
        and "  python3 relay.py --tls --port 9000" in text.splitlines()
    )
    offline = banner(replace(local, reach=Reach.OFFLINE), 80, False, True)
    assert "in no network now" in prose(offline) and "relay.py" not in offline
    for said in (text, offline):
        assert (
            not set(said) & set(BLOCKS)
            and "into the phone" not in prose(said)
            and "A browser does not know this computer" in prose(said)
        )


def test_a_command_stands_on_a_line_of_its_own_however_long() -> None:
    command = f"python3 relay.py keys add --publish all --state '/{'x' * 90} y'"
    text = banner(
        replace(FACTS, advice=(("The link to Film has no key.", command),)), 40, False, False
    )
    assert command in text.splitlines()


def test_without_tls_it_says_why_phones_cannot_film_and_what_to_type() -> None:
    text = banner(WITHOUT_TLS, 80, False, True)
    assert "this computer only" in prose(text)
    assert "browsers give the camera only to https pages" in prose(text)
    assert "  python3 relay.py --tls" in text.splitlines()
    assert not set(text) & set(BLOCKS)
    assert "Warning" not in text


class Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("encoding", "able"),
    [("utf-8", True), ("cp437", True), ("cp1252", False), ("ascii", False), ("latin-1", False)],
)
def test_only_some_encodings_can_show_codes(
    encoding: str, able: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    stream = Terminal(io.BytesIO(), encoding=encoding)
    assert can_show_codes(stream) == able
    text = banner_for(FACTS, stream)
    assert bool(set(text) & set(BLOCKS)) == able
    stream.write(text)
    stream.flush()


def test_a_file_gets_neither_codes_nor_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert banner_for(FACTS, io.TextIOWrapper(io.BytesIO(), encoding="utf-8")) == banner(
        FACTS, 100, False, False
    )


@pytest.mark.parametrize(
    ("variables", "colour"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)]
)
def test_colours_can_be_refused(
    variables: dict[str, str], colour: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b" in banner_for(FACTS, Terminal(io.BytesIO(), encoding="utf-8"))) == colour


def test_an_old_windows_console_gets_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    for name in ("WT_SESSION", "TERM", "ANSICON", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    assert "\x1b" not in banner_for(FACTS, Terminal(io.BytesIO(), encoding="utf-8"))
    monkeypatch.setenv("WT_SESSION", "1")
    assert "\x1b" in banner_for(FACTS, Terminal(io.BytesIO(), encoding="utf-8"))


def test_addresses_stand_in_pairs() -> None:
    lines = plain(banner(FACTS, 80, False, False))
    start = next(number for number, line in enumerate(lines) if "try these" in line) + 1
    pairs = zip_longest(FACTS.other_camera_urls, FACTS.other_player_urls)
    expected = [
        f"  {label:<7} {url}"
        for pair in pairs
        for label, url in zip(("Film", "Watch"), pair, strict=True)
        if url
    ]
    assert lines[start : start + len(expected)] == expected
