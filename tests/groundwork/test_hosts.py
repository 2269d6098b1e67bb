"""Hosts as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundwork.hosts import Host, host_name, line_for

TAKEN = [
    ("cam.example.org", "cam.example.org", None, None),
    ("Cam.Example.Org.", "cam.example.org", None, None),
    (" cam.example.org/ ", "cam.example.org", None, None),
    ("cam.example.org:8443", "cam.example.org", None, 8443),
    ("https://cam.example.org", "cam.example.org", "https", None),
    ("https://cam.example.org:443/", "cam.example.org", "https", None),
    ("https://cam.example.org:8443/player.html", "cam.example.org", "https", 8443),
    ("http://cam.example.org:443", "cam.example.org", "http", 443),
    ("HTTP://CAM:80", "cam", "http", None),
    ("garden", "garden", None, None),
    ("my_nas.local", "my_nas.local", None, None),
    ("käse.example", "xn--kse-qla.example", None, None),
    ("xn--kse-qla.example", "xn--kse-qla.example", None, None),
    ("192.168.1.5", "192.168.1.5", None, None),
    ("192.168.1.5:9443", "192.168.1.5", None, 9443),
    ("https://192.168.1.5", "192.168.1.5", "https", None),
    ("2001:db8::1", "2001:db8::1", None, None),
    ("[2001:DB8::0:1]", "2001:db8::1", None, None),
    ("[2001:db8::1]:9443", "2001:db8::1", None, 9443),
    ("https://[2001:db8::1]:9443", "2001:db8::1", "https", 9443),
    ("::ffff:192.168.1.5", "192.168.1.5", None, None),
]


@pytest.mark.parametrize(("text", "host", "scheme", "port"), TAKEN)
def test_a_host_with_and_without_port_and_a_whole_address(
    text: str, host: str, scheme: str | None, port: int | None
) -> None:
    found = Host.parse(text)
    assert (found.host, found.scheme, found.port) == (host, scheme, port)
    assert (found.ip is not None) == (host[0].isdigit()) and (
        found.ip is None or str(found.ip) == host
    )


REFUSED = [
    ("", "is no host"),
    ("https://", "is no host"),
    ("https:///player.html", "is no host"),
    ("cam.example.org:", "is no host"),
    ("cam.example.org:0", "is no host"),
    ("cam.example.org:99999", "is no host"),
    ("cam.example.org:port", "is no host"),
    ("cam example.org", "is no host"),
    ("cam.exam\nple.org", "is no host"),
    ("cam..org", "is no host"),
    ("-cam.org", "is no host"),
    ("1.2.3", "is no host"),
    ("256.1.1.1", "is no host"),
    ("0x7f.0x1", "is no host"),
    ("0.0.0.0", "is no host"),
    ("[::]", "is no host"),
    ("[1.2.3.4]", "is no host"),
    ("[::1", "is no host"),
    ("fe80::1%eth0", "is no host"),
    ("https://somebody@cam.example.org", "is no host"),
    ("https://cam.example.org/?x", "is no host"),
    ("https://cam.example.org/#key=x", "is no host"),
    ("a.example,b.example", "more than one host"),
    ("*.example.org", "stands for many hosts"),
    ("wss://cam.example.org", "must begin with https:// or http://"),
    ("https://home.example.org/cams/", "does not work below one"),
    ("home.example.org/cams", "does not work below one"),
]


@pytest.mark.parametrize(("text", "sentence"), REFUSED)
def test_what_is_none_is_refused_with_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as wrong:
        Host.parse(text)
    assert repr(text) in str(wrong.value)


@given(st.text(max_size=80) | st.text(alphabet="[]:/.%@?#-_*,0129abfx ", max_size=40))
def test_any_text_is_a_host_as_the_relay_looks_for_it_or_refused(text: str) -> None:
    try:
        found = Host.parse(text)
    except ValueError:
        return
    again = f"[{found.host}]" if ":" in found.host else found.host
    assert Host.parse(again).host == found.host == host_name(again), "as a browser's Host is read"
    assert found.host.isascii() and found.host.isprintable()


@pytest.mark.parametrize(
    ("host", "line"),
    [
        ("cam.example.org", "--allow-host cam.example.org"),
        ("Cam.example.org:8443", "--allow-host cam.example.org"),
        ("[2001:db8::1]:8443", "--allow-host [2001:db8::1]"),
        ("x; rm -rf /", "--allow-host HOST"),
        ("$(reboot)", "--allow-host HOST"),
        ("`reboot`.example", "--allow-host HOST"),
        ("<b>", "--allow-host HOST"),
        ("a'b", "--allow-host HOST"),
        ("", "--allow-host HOST"),
        (None, "--allow-host HOST"),
    ],
)
def test_the_line_to_add_holds_nothing_but_a_host(host: str | None, line: str) -> None:
    assert line_for(host) == line
