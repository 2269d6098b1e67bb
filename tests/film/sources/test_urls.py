"""Addresses of sources: nothing of a password is shown, whatever characters it has."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawercam.film.sources import urls

# Words that stand nowhere else, and what may stand between them.
secrets = st.lists(st.sampled_from(["Sesame", "QuXXy", "ZooKK", "42424"]), min_size=1, max_size=4)
marks = st.sampled_from(
    [*string.punctuation, " ", "\t", "\u2100", "\udc80", "\xe4", "://", "@@", "/@", "?@"]
)


@given(
    secrets,
    marks,
    marks,
    st.sampled_from(["rtsp", "http", "https", "rtmp", "udp"]),
    st.integers(0, 4),
)
def test_nothing_of_a_password_is_shown(
    words: list[str], mark: str, other: str, scheme: str, place: int
) -> None:
    password = mark.join(words) + other
    url = [
        f"{scheme}://admin:{password}@cam.local:554/stream2",
        f"{scheme}://:{password}@cam.local",
        f"{scheme}://admin:{password}@[fe80::1]:554/video?a=b@c",
        f"{scheme}://cam.local/video.cgi?user=admin&pwd={password}",
        f"{scheme}://cam.local:554/user=admin&password={password}&channel=1",
    ][place]
    said = urls.shown(url)
    assert not [word for word in words if word in said], said
    assert said.isascii() and said.isprintable()
    try:
        urls.check(url)
    except ValueError as error:
        assert not [word for word in words if word in str(error)]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://admin:x@10.0.0.7:554/stream2", "rtsp://...@10.0.0.7:554/..."),
        ("http://cam.local/", "http://cam.local/"),
        ("http://[fe80::1%eth0]:80", "http://[fe80::1%eth0]:80"),
        ("rtsp://admin:a/b@10.0.0.7/1", "rtsp://..."),
        ("udp://@239.1.1.1:1234", "udp://...@239.1.1.1:1234"),
        ("admin:x@cam://y", "the address"),
    ],
)
def test_host_and_port_are_shown_where_they_are_certain(url: str, shown: str) -> None:
    assert urls.shown(url) == shown


@pytest.mark.parametrize("mark", "#/?")
def test_a_password_that_cuts_its_address_is_said_before_anything_is_asked(mark: str) -> None:
    with pytest.raises(ValueError, match="write %2F %3F %23 %40 %3A or %25 for it") as caught:
        urls.check(f"rtsp://admin:Sesame{mark}42@127.0.0.1:9/stream2")
    assert "Sesame" not in str(caught.value)


def test_where_it_may_have_been_cut_is_known() -> None:
    assert urls.is_doubtful("rtsp://admin:42#Sesame@127.0.0.1:9/stream2")
    assert not urls.is_doubtful("rtsp://admin:42%23Sesame@127.0.0.1:9/stream2")
