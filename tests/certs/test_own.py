"""A certificate that somebody brings along: what is refused, what is warned about and when, and
that new files are noticed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from certs import AuthorityError, OwnCertificate, Served
from groundwork import state_files as files

START = datetime(2030, 1, 15, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOME = [ip_address("192.168.1.20")]
NAMES = ["drawer.lan", "drawer.local", "localhost"]

Pair = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def signed(
    name: str,
    by: Pair | None = None,
    *names: str,
    days: float = 90,
    ca: bool = False,
    server: bool = True,
) -> Pair:
    """A certificate and its key, signed by another or by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signer = (by[0].subject, by[1]) if by else (subject, key)
    san = [
        x509.IPAddress(ip_address(text)) if text[-1].isdigit() else x509.DNSName(text)
        for text in names
    ]
    builder = (
        x509.CertificateBuilder(
            issuer,
            subject,
            key.public_key(),
            x509.random_serial_number(),
            START,
            START + days * DAY,
        )
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if san:
        builder = builder.add_extension(x509.SubjectAlternativeName(san), critical=False)
    if server and not ca:
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
    return builder.sign(signer, SHA256()), key


def pem(*chain: Pair) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate, _ in chain)


def key_pem(pair: Pair) -> bytes:
    return pair[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


ROOT = signed("A company's root", days=3650, ca=True)
MIDDLE = signed("A company's authority", ROOT, days=1000, ca=True)
LEAF = signed("cams", MIDDLE, "cams.example", "*.cams.example", "192.168.1.20")


class Desk:
    """The two files, and what stands in them."""

    def __init__(self, folder: Path) -> None:
        self.cert, self.key = folder / "own.pem", folder / "own.key"
        self.own = OwnCertificate(self.cert, self.key)

    def put(self, *chain: Pair, key: Pair | None = None) -> None:
        files.write(self.cert, pem(*chain))
        files.write(self.key, key_pem(key or chain[0]))

    def ensure(self, now: datetime = START + DAY) -> Served:
        return self.own.ensure(HOME, NAMES, now)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The system's authorities are the company's root alone."""
    root = tmp_path / "system.pem"
    root.write_bytes(pem(ROOT))
    monkeypatch.setenv("SSL_CERT_FILE", str(root))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "nothing"))
    return Desk(tmp_path)


def test_a_good_one_is_served_without_a_word(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.put(LEAF, MIDDLE)
    served = desk.ensure()
    assert served.warnings == ()
    assert caplog.records == []
    assert (served.cert_file, served.key_file) == (desk.cert, desk.key)
    assert (served.ca_file, served.ca_pem, served.ca_der, served.fingerprint) == (
        None,
        b"",
        b"",
        "",
    )
    assert served.expires == START + 90 * DAY
    assert [
        host
        for host in (*HOME, "porch.cams.example", "CAMS.example.", "drawer.local")
        if served.covers(host)
    ] == [
        HOME[0],
        "porch.cams.example",
        "CAMS.example.",
    ]
    served.server_context()


AnyKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
KEYS: dict[str, Callable[[], AnyKey]] = {
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
}


def own(key: AnyKey, folder: Path) -> Served:
    """A certificate for localhost with this key, which is nobody's but its own."""
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "own")]), datetime.now(UTC)
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now - DAY, now + 90 * DAY
    )
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False
    )
    certificate = builder.sign(
        key, None if isinstance(key, ed25519.Ed25519PrivateKey) else SHA256()
    )
    cert_file, key_file = folder / "any.pem", folder / "any.key"
    files.write(cert_file, certificate.public_bytes(Encoding.PEM))
    files.write(key_file, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return OwnCertificate(cert_file, key_file).ensure(HOME, NAMES)


def shakes_hands(context: ssl.SSLContext, served: Served, version: ssl.TLSVersion) -> str | None:
    """The version that a client has agreed upon that trusts this certificate and knows TLS up to
    this version. Raises what it raises.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    knowing = ssl.create_default_context(cafile=str(served.cert_file))
    knowing.maximum_version = version
    ends = [
        context.wrap_bio(to_server, to_client, server_side=True),
        knowing.wrap_bio(to_client, to_server, server_hostname="localhost"),
    ]
    for _ in range(4):
        for end in ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    return ends[1].version()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("kind", KEYS)
def test_every_kind_of_key_can_be_served(
    tmp_path: Path, kind: str, version: ssl.TLSVersion
) -> None:
    """Session keys are exchanged on one curve only, which need not be the certificate's."""
    said = version.name.replace("_", ".")
    served = own(KEYS[kind](), tmp_path)
    assert shakes_hands(served.server_context(), served, version) == said


@pytest.mark.parametrize("fault", ["no certificate", "no key", "garbage", "another key"])
def test_what_tls_cannot_serve_is_refused_in_a_sentence(desk: Desk, fault: str) -> None:
    desk.put(LEAF, MIDDLE)
    sentence = {
        "no certificate": "own.pem cannot be read: No such file or directory",
        "no key": "own.key cannot be read: No such file or directory",
        "garbage": "own.pem is not a certificate in PEM form, or is damaged",
        "another key": "own.key does not belong to the certificate .*own.pem",
    }[fault]
    if fault == "no certificate":
        desk.cert.unlink()
    elif fault == "no key":
        desk.key.unlink()
    elif fault == "garbage":
        desk.cert.write_bytes(bytes(range(256)))
    else:
        desk.put(LEAF, MIDDLE, key=ROOT)
    with pytest.raises(AuthorityError, match=rf"{sentence}.*--cert and --key"):
        desk.ensure()


@pytest.mark.parametrize(
    ("chain", "sentence"),
    [
        (
            (LEAF,),
            (
                "This computer does not know who vouches for the certificate .* (CN=A "
                "company's authority)"
            ),
        ),
        (
            (signed("itself", None, "cams.example"),),
            "This computer does not know who vouches for the certificate",
        ),
        (
            (LEAF, ROOT),
            "The certificates in .* are no chain (unable to get local issuer certificate)",
        ),
        (
            (signed("cams", MIDDLE, "cams.example", server=False), MIDDLE),
            "does not say that it is meant for servers",
        ),
        (
            (signed("cams", MIDDLE, "cams.example", days=900), MIDDLE),
            "is valid for 900 days; iPhones and Macs refuse more than 825",
        ),
        (
            (signed("cams", MIDDLE, "10.1.1.1"), MIDDLE),
            "is valid for none of drawer.lan, drawer.local, 192.168.1.20",
        ),
        ((signed("cams", MIDDLE), MIDDLE), "has no subject alternative names"),
    ],
)
def test_what_browsers_will_object_to_is_said_and_served(
    desk: Desk, chain: tuple[Pair, ...], sentence: str
) -> None:
    desk.put(*chain)
    served = desk.ensure()
    served.server_context()
    parts = sentence.split(".*")
    assert any(all(part in warning for part in parts) for warning in served.warnings), (
        served.warnings
    )


@pytest.mark.skipif(os.name != "posix", reason="file modes")
def test_a_key_that_everybody_can_read_is_said(desk: Desk) -> None:
    desk.put(LEAF, MIDDLE)
    desk.key.chmod(0o644)
    (warning,) = desk.ensure().warnings
    assert warning.endswith(f"can be read by every user of this computer: chmod o= {desk.key}")


@pytest.mark.parametrize(("days", "before"), [(90.0, 14.0), (6.0, 2.0)])
def test_its_end_is_said_in_time_and_every_day(
    desk: Desk, caplog: pytest.LogCaptureFixture, days: float, before: float
) -> None:
    desk.put(signed("cams", MIDDLE, "cams.example", days=days), MIDDLE)
    end = START + days * DAY
    early = desk.ensure()
    assert early.warnings == ()
    assert not desk.own.stale(early, end - (before + 0.1) * DAY)
    assert desk.own.stale(early, end - (before - 0.1) * DAY)
    with caplog.at_level(logging.WARNING):
        late = desk.ensure(end - 1.5 * DAY)
    (warning,) = late.warnings
    assert "ends in 36 hours, on 2030-" in warning
    assert warning in caplog.text
    assert not desk.own.stale(late, end - 0.6 * DAY)
    assert desk.own.stale(late, end - 0.4 * DAY)
    (warning,) = desk.ensure(end + DAY).warnings
    assert "ended on 2030-" in warning


def test_new_files_are_noticed_whichever_comes_first(desk: Desk) -> None:
    desk.put(LEAF, MIDDLE)
    now = START + DAY
    first = desk.ensure(now)
    assert not desk.own.stale(first, now)
    newer = signed("cams", MIDDLE, "cams.example")
    files.write(desk.cert, pem(newer, MIDDLE))
    assert desk.own.stale(first, now)
    with pytest.raises(AuthorityError, match="does not belong"):
        desk.ensure(now)
    assert desk.own.stale(first, now)
    files.write(desk.key, key_pem(newer))
    second = desk.ensure(now)
    assert second.chain != first.chain
    assert not desk.own.stale(second, now)


def test_links_that_are_moved_are_noticed(desk: Desk, tmp_path: Path) -> None:
    """As ACME clients do it: the files stay, and the links to them move."""
    for number, leaf in enumerate((LEAF, signed("cams", MIDDLE, "cams.example"))):
        files.write(tmp_path / f"cert{number}.pem", pem(leaf, MIDDLE))
        files.write(tmp_path / f"key{number}.pem", key_pem(leaf))
    desk.cert.symlink_to(tmp_path / "cert0.pem")
    desk.key.symlink_to(tmp_path / "key0.pem")
    first = desk.ensure()
    for path, name in ((desk.cert, "cert1.pem"), (desk.key, "key1.pem")):
        path.unlink()
        path.symlink_to(tmp_path / name)
    assert desk.own.stale(first, START + DAY)
    assert desk.ensure().chain != first.chain
