"""User and password for web servers, by the examples of the standards and by another reader."""

from __future__ import annotations

import re
import secrets
import time

import pytest

from drawercam.film.sources.authentication import authorization

# RFC 7616 section 3.9.1.
_NONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
_MINE = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
_CHALLENGE = (
    'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, nonce="'
    + _NONCE
    + '", opaque="FQhe/q"'
)


def fields(header: str | None) -> dict[str, str]:
    assert header is not None and header.startswith("Digest ")
    return {
        name: quoted or token
        for name, quoted, token in re.findall(r'(\w+)=(?:"([^"]*)"|([^,]+))', header)
    }


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_the_standard(
    algorithm: str, response: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "token_hex", lambda count: _MINE)
    said = fields(
        authorization([_CHALLENGE.format(algorithm)], "Mufasa", "Circle of Life", "/dir/index.html")
    )
    assert said["response"] == response
    assert (said["algorithm"], said["nc"], said["opaque"]) == (algorithm, "00000001", "FQhe/q")


def test_the_better_way_is_taken() -> None:
    plain = 'Basic realm="camera"'
    assert authorization([plain], "admin", "Sesame#42", "/") == "Basic YWRtaW46U2VzYW1lIzQy"
    assert (
        fields(
            authorization(
                [plain, _CHALLENGE.format("MD5"), _CHALLENGE.format("SHA-256")], "a", "b", "/"
            )
        )["algorithm"]
        == "SHA-256"
    )
    assert (
        fields(authorization([plain, 'Digest realm="r", nonce="n"'], "a", "b", "/")).get("qop")
        is None
    ), "as RFC 2069 had it"
    for unknown in ([], ["Bearer"], [""], ['Digest realm="r", nonce="n", algorithm=NEW']):
        assert authorization(unknown, "a", "b", "/") is None


def test_a_challenge_of_one_long_word_is_soon_read() -> None:
    begun = time.thread_time()
    authorization(["Digest " + "a" * 8000] * 20, "a", "b", "/")
    assert time.thread_time() - begun < 0.5
