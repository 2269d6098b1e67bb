"""The authority: what browsers are shown, when it changes, and what survives damage.

Handshakes are real ones.
"""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from certs import Authority, AuthorityError, Served, check
from certs.root import Root
from groundwork.addresses import names_of
from tests.groundwork.test_state_files import Hindered
from tests.harness import hellos

ROOT = Path(__file__).resolve().parents[2]
HOME = [ip_address("192.168.1.20"), ip_address("fd00::20")]
OFFICE = [ip_address("10.9.8.7")]
PUBLIC = ip_address("198.51.100.7")
NAMES = ["drawer.lan", "drawer.local", "localhost"]
START = datetime(2030, 1, 15, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)

posix_only = pytest.mark.skipif(os.name != "posix", reason="file modes")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "state" / "certs")


def leaf_of(served: Served) -> x509.Certificate:
    """What its file holds now; a later `ensure` may replace that."""
    return x509.load_pem_x509_certificate(served.cert_file.read_bytes())


def root_of(served: Served) -> x509.Certificate:
    return x509.load_der_x509_certificate(served.ca_der)


def texts(served: Served) -> set[str]:
    return {*map(str, served.addresses), *served.names}


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def handshake(served: Served, client: ssl.SSLContext, name: str) -> tuple[str | None, str | None]:
    """TLS over a loopback connection; the client's protocol version and ALPN answer.

    Raises what the client raises.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            try:
                with served.server_context().wrap_socket(connection, server_side=True) as tls:
                    tls.sendall(b"hello")
            except OSError:
                connection.close()  # the client has refused: that is the client's to tell

        server = threading.Thread(target=serve)
        server.start()
        try:
            with (
                socket.create_connection(listener.getsockname(), timeout=10) as connection,
                client.wrap_socket(connection, server_hostname=name) as tls,
            ):
                assert tls.recv(5) == b"hello"
                return tls.version(), tls.selected_alpn_protocol()
        finally:
            server.join(10)


def trusting(served: Served) -> ssl.SSLContext:
    """A client that knows this authority only and is as strict as Python 3.13 is by default."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.load_verify_locations(cadata=served.ca_pem.decode())
    return context


# what browsers see


@pytest.mark.parametrize(
    "name",
    ["192.168.1.20", "fd00::20", "drawer.lan", "drawer.local", "localhost", "127.0.0.1", "::1"],
)
def test_a_client_that_trusts_the_authority_accepts_every_name(
    authority: Authority, name: str
) -> None:
    served = authority.ensure(HOME, NAMES)
    assert handshake(served, trusting(served), name)[0] == "TLSv1.3"


@pytest.mark.parametrize("name", ["192.168.1.21", "fd00::21", "other.local", "drawer.example"])
def test_a_name_that_is_not_covered_fails(authority: Authority, name: str) -> None:
    served = authority.ensure(HOME, NAMES)
    with pytest.raises(ssl.SSLCertVerificationError, match=r"mismatch|not valid for"):
        handshake(served, trusting(served), name)


def test_a_client_that_trusts_another_authority_refuses(
    authority: Authority, tmp_path: Path
) -> None:
    served = authority.ensure(HOME, NAMES)
    stranger = Authority(tmp_path / "stranger").ensure(HOME, NAMES)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(served, trusting(stranger), "192.168.1.20")


def test_an_old_phone_gets_tls_1_2_and_nothing_below(authority: Authority) -> None:
    served = authority.ensure(HOME, NAMES)
    old = trusting(served)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.set_alpn_protocols(["h2", "http/1.1"])
    assert handshake(served, old, "192.168.1.20") == ("TLSv1.2", "http/1.1")
    assert served.server_context().minimum_version == ssl.TLSVersion.TLSv1_2
    assert served.server_context().options & ssl.OP_NO_COMPRESSION


def answer(context: ssl.SSLContext, hello: bytes) -> bytes | None:
    """What a server says to a client's first message; None if it refuses it."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = context.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(hello)
    try:
        with suppress(ssl.SSLWantReadError):
            server.do_handshake()
    except ssl.SSLError:
        return None
    return outgoing.read()


@pytest.mark.parametrize(("group", "bits"), hellos.FFDHE.items())
def test_a_stranger_cannot_choose_a_costly_key_exchange(
    authority: Authority, group: int, bits: int
) -> None:
    served = authority.ensure(HOME, NAMES)
    context = served.server_context()
    usual = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    usual.load_cert_chain(served.cert_file)
    share = [(group, hellos.public_key(bits))]
    modern, mixed = (
        hellos.client_hello([group], share),
        hellos.client_hello([group, hellos.P256], share),
    )
    older = hellos.client_hello([group], None, hellos.DHE)
    assert answer(usual, modern), "what it refuses is in order"
    assert answer(context, modern) is None and answer(context, older) is None
    asked_again = answer(context, mixed)
    assert asked_again and hellos.is_retry(asked_again), (
        "for a key of P-256, before anything was computed"
    )


def test_browsers_old_and_new_are_answered(authority: Authority) -> None:
    """As they begin: Chrome 64 and Safari 12 in TLS 1.2, newer ones with a key of X25519, Firefox
    with one of P-256 beside it.
    """
    context = authority.ensure(HOME, NAMES).server_context()
    groups = [hellos.X25519, hellos.P256, hellos.P384]
    point = (
        ec.generate_private_key(ec.SECP256R1())
        .public_key()
        .public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    )
    older, chrome, firefox = (
        answer(context, hellos.client_hello(groups, shares, hellos.ECDHE))
        for shares in (
            None,
            [(hellos.X25519, bytes(31) + b"\x09")],
            [(hellos.X25519, bytes(31) + b"\x09"), (hellos.P256, point)],
        )
    )
    assert older and chrome and firefox
    assert hellos.is_retry(chrome) and not hellos.is_retry(firefox), "one round trip more, and none"


def test_a_second_verifier_agrees(authority: Authority) -> None:
    served = authority.ensure(HOME, NAMES)
    policy = PolicyBuilder().store(Store([root_of(served)]))
    for subject in (x509.DNSName("drawer.local"), x509.IPAddress(HOME[0]), x509.IPAddress(HOME[1])):
        chain = policy.build_server_verifier(subject).verify(leaf_of(served), [])
        assert chain == [leaf_of(served), root_of(served)]


def test_the_profile_of_the_authority(authority: Authority) -> None:
    root = root_of(authority.ensure([*HOME, PUBLIC], NAMES, START))
    extensions = root.extensions
    assert isinstance(root.public_key(), ec.EllipticCurvePublicKey)
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=0)
    usage = extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.crl_sign, usage.digital_signature) == (True, True, False)
    names = extensions.get_extension_for_class(x509.NameConstraints)
    assert not names.critical
    permitted = {str(name.value) for name in names.value.permitted_subtrees or []}
    assert permitted >= {
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "127.0.0.0/8",
    }
    assert permitted >= {
        "fc00::/7",
        "fe80::/10",
        "::1/128",
        "local",
        "localhost",
        "drawer.lan",
        f"{PUBLIC}/32",
    }
    assert "0.0.0.0/0" not in permitted
    assert root.not_valid_after_utc - START > timedelta(days=3650)


def test_the_profile_of_the_certificate(authority: Authority) -> None:
    served = authority.ensure(HOME, NAMES, START)
    leaf, extensions = leaf_of(served), leaf_of(served).extensions
    assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey)
    assert isinstance(leaf.signature_hash_algorithm, SHA256)
    assert leaf.not_valid_before_utc == START - timedelta(hours=1)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc == timedelta(days=397)
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH
    ]
    assert extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    issuer_key = extensions.get_extension_for_class(
        x509.AuthorityKeyIdentifier
    ).value.key_identifier
    assert (
        issuer_key
        == root_of(served)
        .extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        .value.digest
    )
    assert served.expires == leaf.not_valid_after_utc
    assert texts(served) == {
        "192.168.1.20",
        "fd00::20",
        "127.0.0.1",
        "::1",
        "drawer.lan",
        "drawer.local",
        "localhost",
    }


def test_what_is_handed_out_for_download(authority: Authority) -> None:
    served = authority.ensure(HOME, NAMES)
    assert served.ca_file == authority.ca_file
    assert authority.ca_file.read_bytes() == served.ca_pem
    assert b"PRIVATE" not in served.ca_pem
    assert ssl.PEM_cert_to_DER_cert(served.ca_pem.decode()) == served.ca_der
    octets = served.fingerprint.split(":")
    assert len(octets) == 32
    assert bytes.fromhex("".join(octets)) == root_of(served).fingerprint(SHA256())
    assert served.fingerprint == served.fingerprint.upper()


# limits


def test_a_public_address_that_was_there_from_the_start_works(authority: Authority) -> None:
    served = authority.ensure([PUBLIC], NAMES)
    assert served.left_out == ()
    assert handshake(served, trusting(served), str(PUBLIC))[0] == "TLSv1.3"


def test_a_public_address_that_came_later_is_left_out_with_one_warning(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    before = authority.ensure(HOME, NAMES)
    leaf = leaf_of(before)
    with caplog.at_level(logging.INFO, "drawercam.certs"):
        after = authority.ensure([*HOME, PUBLIC], [*NAMES, "camera.example"])
        authority.ensure([*HOME, PUBLIC], [*NAMES, "camera.example"])
    assert after.left_out == (str(PUBLIC), "camera.example")
    assert not {str(PUBLIC), "camera.example"} & texts(after)
    assert after.fingerprint == before.fingerprint
    assert leaf_of(after) == leaf
    (warning,) = warnings_in(caplog)
    assert "198.51.100.7, camera.example" in warning


def test_openssl_enforces_the_limits(authority: Authority) -> None:
    """A certificate that the real key has signed for a name outside is worth nothing: why a stolen
    key is no disaster.
    """
    served = authority.ensure(HOME, NAMES)
    forged = forge(authority, x509.SubjectAlternativeName([x509.DNSName("bank.example")]))
    cert = served.cert_file.with_name("forged.pem")
    cert.write_bytes(forged)
    (problem,) = check(cert, cert, served.ca_file, ["bank.example"])
    assert "permitted subtree violation" in problem


openssl = pytest.mark.skipif(
    shutil.which("openssl") is None,
    reason="openssl is not installed; on Debian: apt install openssl",
)


def openssl_verify(served: Served, cert: Path, *options: str) -> str:
    """What `openssl verify` says to a certificate when the authority is all it trusts."""
    command = [
        "openssl",
        "verify",
        "-x509_strict",
        "-no-CApath",
        "-CAfile",
        str(served.ca_file),
        "-purpose",
        "sslserver",
        *options,
        str(cert),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


@openssl
@pytest.mark.parametrize(
    "option", ["-verify_ip=192.168.1.20", "-verify_ip=fd00::20", "-verify_hostname=drawer.local"]
)
def test_the_openssl_program_accepts_the_chain(authority: Authority, option: str) -> None:
    served = authority.ensure(HOME, NAMES)
    assert openssl_verify(served, served.cert_file, *option.split("=")).endswith("served.pem: OK\n")
    foreign = openssl_verify(served, served.cert_file, "-verify_hostname", "other.local")
    assert "hostname mismatch" in foreign.lower()


@openssl
@pytest.mark.parametrize(
    "san", [x509.DNSName("bank.example"), x509.IPAddress(ip_address("198.51.100.7"))]
)
def test_the_openssl_program_refuses_what_is_outside_the_limits(
    authority: Authority, san: x509.GeneralName
) -> None:
    served = authority.ensure(HOME, NAMES)
    inside, outside = (
        served.cert_file.with_name("inside.pem"),
        served.cert_file.with_name("outside.pem"),
    )
    inside.write_bytes(forge(authority, x509.SubjectAlternativeName([x509.DNSName("porch.local")])))
    outside.write_bytes(forge(authority, x509.SubjectAlternativeName([san])))
    assert openssl_verify(served, inside).endswith("inside.pem: OK\n")
    assert "permitted subtree violation" in openssl_verify(served, outside)


@pytest.mark.parametrize(
    "name",
    [
        *("garden", "Garden.", "com", "dev.", "xn--p1ai", "camera"),
        *("co.uk", "com.au", "or.jp."),
        *("*.com", ".com", "a..com", "", ".", "8.8.8.8", "my_pc", "x" * 64 + ".example"),
    ],
)
def test_no_authority_may_vouch_for_a_name_of_one_label_or_one_that_many_share(name: str) -> None:
    assert Root.create(HOME, [name, *names_of(name)], START).domains == ["local", "localhost"]


@pytest.mark.parametrize(
    "name",
    [
        "garden.local",
        "cams.example",
        "pc.home.example",
        "xn--caf-dma.example",
        "shop.co.uk",
        "co.lan",
    ],
)
def test_an_authority_may_vouch_for_what_is_this_computers(name: str) -> None:
    root = Root.create(HOME, [name, f"{name}."], START)
    assert (
        root.domains[2:] == ([] if name.endswith(".local") else [name])
        and root.permits_name(name)
        and not root.too_wide
    )


def test_a_single_label_is_never_in_the_certificate_and_a_sentence_says_what_to_do(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    served = authority.ensure(HOME, [*names_of("garden"), "bench", "co.uk"])
    assert (
        served.names == ("garden.local", "localhost")
        and served.left_out == ("bench", "co.uk")
        and not served.unlimited
    )
    (sentence,) = served.warnings
    assert (
        "Browsers will warn at bench, co.uk" in sentence
        and ".local" in sentence
        and "--cert" in sentence
    )
    assert warnings_in(caplog) == [], "deleting the folder would not help"
    assert authority.ensure(HOME, names_of("garden")).warnings == (), (
        "the computer's own short name is not asked for"
    )
    for name in ("garden", "bank.garden", "x.bench", "bank.co.uk"):
        forged = served.cert_file.with_name("forged.pem")
        forged.write_bytes(forge(authority, x509.SubjectAlternativeName([x509.DNSName(name)])))
        (problem,) = check(forged, forged, served.ca_file, [name])
        assert "permitted subtree violation" in problem


def make_as_before(authority: Authority, *names: str) -> Served:
    """The authority as earlier versions made it: it may vouch for whatever it is asked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("certs.root.may_permit", bool)
        return authority.ensure(HOME, names)


def test_an_authority_of_an_earlier_version_stays_with_its_names_and_says_so(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    before = make_as_before(authority, "garden", "garden.local", "cams")
    assert before.names == ("garden", "garden.local", "cams", "localhost") and not before.warnings
    after = authority.ensure(OFFICE, [*names_of("garden"), "cams", "bench"])
    assert (
        after.fingerprint == before.fingerprint
        and after.unlimited == "every name that ends in .garden or .cams"
    )
    assert after.covers(OFFICE[0]) and {"garden", "cams", "garden.local"} <= set(after.names)
    assert handshake(after, trusting(before), "garden")[0] == "TLSv1.3", (
        "pages that were opened there stay open"
    )
    wide, never = after.warnings
    assert (
        after.unlimited in wide and str(authority.folder) in wide and "delete that folder" in wide
    )
    assert "Browsers will warn at bench:" in never
    assert warnings_in(caplog) == []
    shutil.rmtree(authority.folder)
    new = authority.ensure(OFFICE, names_of("garden"))
    assert (new.unlimited, new.warnings, new.names) == ("", (), ("garden.local", "localhost"))


def test_an_authority_without_any_limit_is_told_of(authority: Authority) -> None:
    before = authority.ensure(HOME, [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("certs.root._extension", lambda *_: None)
        after = authority.ensure(HOME, [])
    assert (
        before.unlimited == ""
        and after.unlimited == "every name there is"
        and "every name there is" in after.warnings[0]
    )


def test_names_are_normalised(authority: Authority) -> None:
    served = authority.ensure(
        [ip_address("fe80::5%3"), *HOME, *HOME],
        ["Drawer.lan", "drawer.lan", "DRAWER.local.", "schrank-ä.local"],
    )
    assert served.names == ("drawer.lan", "drawer.local", "localhost")
    assert served.left_out == ("schrank-ä.local",)
    assert ip_address("fe80::5") in served.addresses
    assert len(set(served.addresses)) == len(served.addresses)


# when the certificate changes


def test_it_stays_while_nothing_changes(authority: Authority) -> None:
    first = authority.ensure(HOME, NAMES, START)
    leaf = leaf_of(first)
    again = Authority(authority.folder).ensure(HOME[::-1], NAMES[::-1], START + 300 * DAY)
    assert leaf_of(again) == leaf
    assert again.fingerprint == first.fingerprint


def test_a_new_address_makes_a_new_certificate_of_the_same_authority(authority: Authority) -> None:
    first = authority.ensure(HOME, NAMES)
    leaf = leaf_of(first)
    second = authority.ensure(OFFICE, NAMES)
    assert leaf_of(second) != leaf
    assert second.fingerprint == first.fingerprint
    assert str(OFFICE[0]) in texts(second)
    assert str(HOME[0]) not in texts(second)
    assert handshake(second, trusting(first), "10.9.8.7")[0] == "TLSv1.3"


def test_an_address_that_has_gone_changes_nothing(authority: Authority) -> None:
    first = authority.ensure([*HOME, *OFFICE], NAMES)
    leaf = leaf_of(first)
    assert leaf_of(authority.ensure(HOME, NAMES)) == leaf


def test_issue_always_makes_a_new_one(authority: Authority) -> None:
    first = authority.ensure(HOME, NAMES)
    leaf = leaf_of(first)
    second = authority.issue(HOME, NAMES)
    assert leaf_of(second) != leaf
    assert second.fingerprint == first.fingerprint


@pytest.mark.parametrize(("days_left", "renewed"), [(31, False), (29, True), (-1, True)])
def test_it_is_renewed_in_its_last_30_days(
    authority: Authority, days_left: int, renewed: bool
) -> None:
    first = authority.ensure(HOME, NAMES, START)
    leaf = leaf_of(first)
    later = first.expires - days_left * DAY
    second = authority.ensure(HOME, NAMES, later)
    assert (leaf_of(second) != leaf) == renewed
    assert second.fingerprint == first.fingerprint
    assert second.expires - later > 30 * DAY


def test_the_authority_is_renewed_at_its_end_and_says_so(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    first = authority.ensure(HOME, NAMES, START)
    end = root_of(first).not_valid_after_utc
    near_the_end = authority.ensure(HOME, NAMES, end - 31 * DAY)
    leaf = leaf_of(near_the_end)
    assert near_the_end.fingerprint == first.fingerprint
    assert near_the_end.expires == end
    assert leaf_of(authority.ensure(HOME, NAMES, end - 31 * DAY)) == leaf
    second = authority.ensure(HOME, NAMES, end - 29 * DAY)
    assert second.fingerprint != first.fingerprint
    (warning,) = warnings_in(caplog)
    assert "phones must install it" in warning
    assert check(second.cert_file, second.key_file, second.ca_file, NAMES, end) == []


def test_a_clock_that_starts_in_1970_does_not_cost_the_authority(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    first = authority.ensure(HOME, NAMES, START)
    leaf = leaf_of(first)
    second = authority.ensure(HOME, NAMES, datetime(1970, 1, 1, 0, 5, tzinfo=UTC))
    assert leaf_of(second) == leaf
    (warning,) = warnings_in(caplog)
    assert "Set the clock" in warning
    moved = authority.ensure(OFFICE, NAMES, datetime(1970, 1, 1, 0, 5, tzinfo=UTC))
    assert moved.expires > START + 365 * DAY


def test_public_ipv6_addresses_come_and_go_without_an_alarm(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    authority.ensure(HOME, NAMES)
    for day in range(1, 4):
        assert authority.ensure([*HOME, ip_address(f"2001:db8::{day}")], NAMES).left_out == (
            f"2001:db8::{day}",
        )
    assert warnings_in(caplog) == []


def test_it_is_stale_in_its_last_30_days_and_not_before(authority: Authority) -> None:
    served = authority.ensure(HOME, NAMES, START)
    assert not authority.stale(served, served.expires - 31 * DAY)
    assert authority.stale(served, served.expires - 29 * DAY)
    assert authority.stale(served, served.expires + DAY)


def test_files_that_are_spoiled_meanwhile_are_not_served(
    authority: Authority, tmp_path: Path
) -> None:
    first = authority.ensure(HOME, NAMES)
    stranger = Authority(tmp_path / "stranger").ensure(HOME, NAMES)
    with pytest.raises(ssl.SSLError):
        replace(first, cert_file=stranger.cert_file).server_context()


# files


@posix_only
def test_only_the_owner_can_read_the_keys(authority: Authority) -> None:
    before = os.umask(0)
    try:
        served = authority.ensure(HOME, NAMES)
    finally:
        os.umask(before)
    made = (authority.folder, authority.authority_file, served.key_file, authority.ca_file)
    modes = {path.name: path.stat().st_mode & 0o777 for path in made}
    assert modes == {"certs": 0o700, "authority.pem": 0o600, "served.pem": 0o600, "ca.crt": 0o644}


@posix_only
def test_modes_that_a_copy_has_widened_are_narrowed(authority: Authority) -> None:
    leaf = leaf_of(authority.ensure(HOME, NAMES))
    for path in (authority.folder, authority.authority_file, authority.served_file):
        path.chmod(0o755)
    again = authority.ensure(HOME, NAMES)
    assert leaf_of(again) == leaf
    assert [
        path.stat().st_mode & 0o077
        for path in (authority.folder, authority.authority_file, again.key_file)
    ] == [0, 0, 0]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.95])
def test_a_half_written_certificate_is_made_anew(authority: Authority, share: float) -> None:
    first = authority.ensure(HOME, NAMES)
    leaf = leaf_of(first)
    whole = first.cert_file.read_bytes()
    first.cert_file.write_bytes(whole[: int(len(whole) * share)])
    second = authority.ensure(HOME, NAMES)
    assert second.fingerprint == first.fingerprint
    assert leaf_of(second) != leaf
    assert handshake(second, trusting(first), "drawer.local")[0] == "TLSv1.3"


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.95])
def test_a_damaged_authority_is_put_aside_and_made_anew(
    authority: Authority, share: float, caplog: pytest.LogCaptureFixture
) -> None:
    first = authority.ensure(HOME, NAMES)
    whole = authority.authority_file.read_bytes()
    authority.authority_file.write_bytes(whole[: int(len(whole) * share)])
    second = authority.ensure(HOME, NAMES)
    assert second.fingerprint != first.fingerprint
    assert handshake(second, trusting(second), "drawer.local")[0] == "TLSv1.3"
    (warning,) = warnings_in(caplog)
    assert "phones must install it" in warning
    assert (authority.folder / "authority.damaged.pem").read_bytes() == whole[
        : int(len(whole) * share)
    ]


def test_a_lost_download_comes_back(authority: Authority) -> None:
    first = authority.ensure(HOME, NAMES)
    leaf = leaf_of(first)
    authority.ca_file.unlink()
    authority.ensure(HOME, NAMES)
    assert authority.ca_file.read_bytes() == first.ca_pem
    authority.ca_file.write_text("half")
    assert leaf_of(authority.ensure(HOME, NAMES)) == leaf
    assert authority.ca_file.read_bytes() == first.ca_pem


def test_a_certificate_of_another_authority_is_replaced(
    authority: Authority, tmp_path: Path
) -> None:
    first = authority.ensure(HOME, NAMES)
    stranger = Authority(tmp_path / "stranger").ensure(HOME, NAMES)
    first.cert_file.write_bytes(stranger.cert_file.read_bytes())
    second = authority.ensure(HOME, NAMES)
    assert handshake(second, trusting(first), "drawer.local")[0] == "TLSv1.3"


def test_what_a_crash_left_behind_is_removed(authority: Authority) -> None:
    authority.ensure(HOME, NAMES)
    remnant = authority.folder / ".new-abcdef"
    remnant.write_bytes(b"half a key")
    authority.ensure(HOME, NAMES)
    assert not remnant.exists()
    assert {path.name for path in authority.folder.iterdir()} == {
        "authority.pem",
        "ca.crt",
        "served.pem",
        "lock",
    }


def test_a_crash_while_writing_leaves_the_old_files(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = authority.ensure(HOME, NAMES)
    before = first.cert_file.read_bytes()

    def power_cut(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", power_cut)
    with pytest.raises(AuthorityError, match="Input/output error"):
        authority.issue(OFFICE, NAMES)
    assert first.cert_file.read_bytes() == before


def test_a_folder_that_cannot_be_one_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "certs").write_text("a file")
    with pytest.raises(AuthorityError, match="--state"):
        Authority(tmp_path / "certs").ensure(HOME, NAMES)


def test_an_authority_that_must_not_be_read_is_not_replaced(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = authority.ensure(HOME, NAMES)
    read_bytes = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path == authority.authority_file:
            raise PermissionError(13, "Permission denied", str(path))
        return read_bytes(path)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "read_bytes", refuse)
        with pytest.raises(AuthorityError, match=r"Permission denied.*authority\.pem"):
            authority.ensure(HOME, NAMES)
    assert authority.ensure(HOME, NAMES).fingerprint == first.fingerprint


# where nothing can be written


@pytest.mark.parametrize("full", [False, True])
def test_the_certificate_that_is_there_is_served_where_none_can_be_written(
    authority: Authority, monkeypatch: pytest.MonkeyPatch, full: bool
) -> None:
    first = authority.ensure(HOME, NAMES)
    hindered = Hindered(
        authority.folder.parent, monkeypatch, errno.ENOSPC if full else errno.EROFS, new_ones=full
    )
    assert authority.ensure(HOME, NAMES) == first
    for _ in range(2):
        moved = authority.ensure(OFFICE, NAMES)
        assert (moved.chain, moved.addresses, moved.makeshift) == (
            first.chain,
            first.addresses,
            True,
        )
        (sentence,) = moved.warnings
        assert (
            "10.9.8.7" in sentence
            and ("Its disk is full" if full else "Its disk is read-only") in sentence
        )
        assert authority.stale(moved, datetime.now(UTC)) and not authority.stale(
            first, datetime.now(UTC)
        )
    late = authority.ensure(HOME, NAMES, datetime.now(UTC) + timedelta(days=900))
    assert late.chain == first.chain and late.makeshift, (
        "one that has ended opens after a warning, none does not"
    )
    hindered.over = True
    at_last = authority.ensure(OFFICE, NAMES)
    assert at_last.chain != first.chain and not at_last.makeshift and not at_last.warnings
    assert at_last.fingerprint == first.fingerprint


def test_what_is_missing_or_spoiled_where_nothing_can_be_written_is_a_sentence(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.ensure(HOME, NAMES)
    hindered = Hindered(authority.folder.parent, monkeypatch, errno.EACCES)
    authority.served_file.write_bytes(b"spoiled")
    for path in (authority.served_file, authority.ca_file, authority.authority_file):
        with pytest.raises(
            AuthorityError, match=r"Permission denied.* or choose another folder with --state"
        ):
            authority.ensure(HOME, NAMES)
        path.unlink()
    hindered.over = True
    assert not authority.ensure(HOME, NAMES).warnings


# several relays at once


def test_many_threads_that_start_at_once_share_one_authority(tmp_path: Path) -> None:
    folder = tmp_path / "certs"
    with ThreadPoolExecutor(8) as pool:
        served = list(pool.map(lambda _: Authority(folder).ensure(HOME, NAMES), range(16)))
    assert len({one.fingerprint for one in served}) == 1
    assert check(served[0].cert_file, served[0].key_file, served[0].ca_file, NAMES) == []


def test_many_processes_that_start_at_once_share_one_authority(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from ipaddress import ip_address; from "
        "certs import Authority\n"
        "print(Authority(Path(sys.argv[1])).ensure([ip_address(sys.argv[2])], "
        "['localhost']).fingerprint)"
    )
    relays = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(tmp_path / "certs"), f"10.0.0.{n}"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for n in range(4)
    ]
    fingerprints = {relay.communicate(timeout=60)[0] for relay in relays}
    assert [relay.returncode for relay in relays] == [0, 0, 0, 0]
    assert len(fingerprints) == 1


def test_a_relay_that_hangs_with_the_lock_is_a_sentence(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority.ensure(HOME, NAMES)
    monkeypatch.setattr("groundwork.state_files.LOCK_PATIENCE", 0.1)
    with held(authority), pytest.raises(AuthorityError, match="another relay"):
        Authority(authority.folder).ensure(HOME, NAMES)


@contextmanager
def held(authority: Authority) -> Iterator[None]:
    with authority._exclusive():
        yield


# check: files that may be anybody's


def forge(authority: Authority, *extensions: x509.ExtensionType) -> bytes:
    """Key and certificate, signed by the authority's key without asking the authority."""
    data = authority.authority_file.read_bytes()
    root, root_key = x509.load_pem_x509_certificate(data), load_pem_private_key(data, None)
    assert isinstance(root_key, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "forged by hand")]))
        .issuer_name(root.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(root.not_valid_before_utc)
        .not_valid_after(root.not_valid_before_utc + 90 * DAY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()),
            critical=False,
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    certificate = builder.sign(root_key, SHA256())
    return key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    ) + certificate.public_bytes(Encoding.PEM)


def test_check_is_content_with_what_is_served(authority: Authority) -> None:
    served = authority.ensure(HOME, NAMES)
    assert (
        check(
            served.cert_file,
            served.key_file,
            served.ca_file,
            ["192.168.1.20", "FD00:0::20", "Drawer.local"],
        )
        == []
    )
    assert check(served.cert_file, served.key_file, None, NAMES) == []


def test_check_names_what_is_missing(authority: Authority) -> None:
    served = authority.ensure(HOME, NAMES)
    (problem,) = check(
        served.cert_file,
        served.key_file,
        served.ca_file,
        ["192.168.1.20", "192.168.1.99", "x.local"],
    )
    assert problem.endswith("is not valid for 192.168.1.99, x.local.")


def test_check_tells_the_dates(authority: Authority) -> None:
    served = authority.ensure(HOME, NAMES, START)
    (early,) = check(served.cert_file, served.key_file, served.ca_file, NAMES, START - DAY)
    assert "begins on 2030-01-15 11:00 UTC, and the clock says 2030-01-14" in early
    (late,) = check(served.cert_file, served.key_file, served.ca_file, NAMES, START + 400 * DAY)
    assert f"ended on {served.expires:%Y-%m-%d}" in late


def test_check_tells_a_foreign_key(authority: Authority, tmp_path: Path) -> None:
    served = authority.ensure(HOME, NAMES)
    stranger = Authority(tmp_path / "stranger").ensure(HOME, NAMES)
    (problem,) = check(served.cert_file, stranger.key_file, served.ca_file, NAMES)
    assert "does not belong to the certificate" in problem


def test_check_tells_a_foreign_authority(authority: Authority, tmp_path: Path) -> None:
    served = authority.ensure(HOME, NAMES)
    stranger = Authority(tmp_path / "stranger").ensure(HOME, NAMES)
    (problem,) = check(served.cert_file, served.key_file, stranger.ca_file, NAMES)
    assert "is not vouched for by" in problem


def test_check_does_not_ask_for_a_passphrase(authority: Authority, tmp_path: Path) -> None:
    served = authority.ensure(HOME, NAMES)
    locked = tmp_path / "locked.pem"
    key = ec.generate_private_key(ec.SECP256R1())
    locked.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    )
    (problem,) = check(served.cert_file, locked, None, NAMES)
    assert "passphrase" in problem


def test_check_reports_files_that_are_missing_or_damaged(
    authority: Authority, tmp_path: Path
) -> None:
    served = authority.ensure(HOME, NAMES)
    garbage, nothing = tmp_path / "garbage.pem", tmp_path / "nothing.pem"
    garbage.write_bytes(bytes(range(256)))
    for cert, key, ca, words in (
        (nothing, served.key_file, None, "The certificate .* cannot be read"),
        (garbage, served.key_file, None, "is not a certificate in PEM form"),
        (served.cert_file, nothing, None, "The private key .* cannot be read"),
        (served.cert_file, garbage, None, "is not a private key in PEM form"),
        (
            served.cert_file,
            served.key_file,
            nothing,
            "The authority's certificate .* cannot be read",
        ),
        (
            served.cert_file,
            served.key_file,
            garbage,
            "The authority's certificate .* is not in PEM form",
        ),
    ):
        (problem,) = check(cert, key, ca, NAMES)
        assert re.search(words, problem), problem


@pytest.mark.parametrize(
    ("pattern", "name", "covered"),
    [
        ("*.home.local", "cam.home.local", True),
        ("*.home.local", "a.cam.home.local", False),
        ("*.home.local", "home.local", False),
    ],
)
def test_check_knows_wildcards(
    authority: Authority, tmp_path: Path, pattern: str, name: str, covered: bool
) -> None:
    served = authority.ensure(HOME, NAMES)
    file = tmp_path / "wildcard.pem"
    file.write_bytes(forge(authority, x509.SubjectAlternativeName([x509.DNSName(pattern)])))
    problems = check(file, file, served.ca_file, [name])
    assert [problem.endswith(f"is not valid for {name}.") for problem in problems] == (
        [] if covered else [True]
    )


def test_check_wants_alternative_names(authority: Authority, tmp_path: Path) -> None:
    served = authority.ensure(HOME, NAMES)
    file = tmp_path / "nameless.pem"
    file.write_bytes(forge(authority))
    assert any(
        "has no subject alternative names" in problem
        for problem in check(file, file, served.ca_file, NAMES)
    )
