"""A certificate authority of one's own, and the certificate that the relay serves.

Browsers give the camera to https pages only, and nobody issues public certificates for 192.168.x.y. So the relay makes an authority once
(which a person may install on the phones) and from it a certificate for every address that it has today.

The folder of an authority holds

    authority.pem   its private key and certificate; whoever has it can pose as any address in the limits below
    ca.crt          its certificate alone, to install on phones
    served.pem      what the relay serves: private key, certificate, the authority's certificate

Key and certificate share a file so that one rename replaces both: no crash and no second relay can leave a key beside a certificate that is
not its own.

The profile is RFC 5280's, within what Apple asks for (SAN, SHA-256, serverAuth, 825 days at most; support.apple.com/103769).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import ssl
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL, crypto

log = logging.getLogger("drawercam.certs")

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network
Extension = TypeVar("Extension", bound=x509.ExtensionType)

ROOT_LIFETIME = timedelta(days=3652)
"""Ten years: longer than a drawer phone lasts, and installing an authority again on each of them is the worst chore there is."""

LEAF_LIFETIME = timedelta(days=397)
"""Apple allows 825 days from private authorities and 398 from public ones; the smaller one is safe whatever they decide next."""

RENEW_BEFORE = timedelta(days=30)
"""A certificate with less than this left is made anew at the next start."""

CLOCK_SKEW = timedelta(hours=1)
"""How far validity begins in the past: an old phone without a SIM has a clock that is minutes behind."""

LOCK_PATIENCE = 20.0
"""Seconds to wait for another relay that works in the same folder; its work takes milliseconds, so longer means it hangs."""

LOCK_POLL = 0.02
"""Seconds between two attempts to get the lock."""

TEMPORARY_PREFIX = ".new-"
"""Of files that are being written. What a crash leaves behind is removed under the lock at the next start."""

COMMON_NAME_LIMIT = 64
"""Characters (ub-common-name, RFC 5280 appendix A.1)."""

PRIVATE_NETWORKS: tuple[IPNetwork, ...] = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",  # RFC 6598: carrier NAT, and what Tailscale gives out
        "169.254.0.0/16",
        "127.0.0.0/8",
        "fc00::/7",
        "fe80::/10",
        "::1/128",
    )
)
"""What an authority may sign for. A stolen key cannot pose as a bank: browsers enforce these name constraints (RFC 5280 4.2.1.10)."""

PRIVATE_DOMAINS = ("local", "localhost")

LOOPBACK_ADDRESSES: tuple[IPAddress, ...] = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
LOOPBACK_NAMES = ("localhost",)
"""In every certificate, so that the relay's own computer can always open its pages."""


class AuthorityError(Exception):
    """The certificates can be neither read nor made. The text is a sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Served:
    """What the relay serves, on disk and checked.

    Attributes:
        cert_file: PEM: the certificate and its authority's, in the order in which TLS sends them. Also holds the key.
        key_file: PEM: the private key, unencrypted. The same file as ``cert_file``.
        ca_file: PEM: the authority's certificate alone.
        ca_pem, ca_der: The authority's certificate, for download as ``application/x-x509-ca-cert``.
        fingerprint: SHA-256 of ``ca_der`` in upper-case hexadecimal bytes with colons, as phones show it.
        addresses, names: Everything that the certificate is valid for.
        left_out: What was asked for and lies outside the authority's limits.
        expires: When the certificate ends, in UTC.
    """

    cert_file: Path
    key_file: Path
    ca_file: Path
    ca_pem: bytes
    ca_der: bytes
    fingerprint: str
    addresses: tuple[IPAddress, ...]
    names: tuple[str, ...]
    left_out: tuple[str, ...]
    expires: datetime

    def server_context(self) -> ssl.SSLContext:
        """A context to serve with.

        TLS 1.2 is the floor and not 1.3, because phones on Android 9 and iOS 12 end there. There is no compression (CRIME), and
        HTTP/1.1 alone is offered (ALPN), because WebSocket over HTTP/2 is something the relay does not speak.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        self.load_into(context)
        return context

    def load_into(self, context: ssl.SSLContext) -> None:
        """Serve this certificate from now on. For a relay that runs for months: live connections stay, new handshakes get it."""
        context.load_cert_chain(self.cert_file, self.key_file)


class Authority:
    """The authority whose files are in one folder; made there on first use.

    Safe to use from several threads and processes at once. Its methods block for some milliseconds of file work.

    Every method takes ``now`` (aware, default the clock) so that a test can live in another year.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority_file = folder / "authority.pem"
        self.ca_file = folder / "ca.crt"
        self.served_file = folder / "served.pem"
        self._warned: tuple[str, ...] = ()

    def load_or_create(
        self, addresses: Sequence[IPAddress] = (), names: Sequence[str] = (), now: datetime | None = None
    ) -> x509.Certificate:
        """The authority's certificate.

        An authority is made only where there is none, or where it cannot be read or ends within `RENEW_BEFORE`.

        Args:
            addresses, names: When one is made, it may sign for these too, beside `PRIVATE_NETWORKS` and `PRIVATE_DOMAINS`.

        Raises:
            AuthorityError: The folder cannot be used.
        """
        with self._exclusive():
            return self._load_or_create(addresses, names, now or datetime.now(UTC)).certificate

    def issue(self, addresses: Sequence[IPAddress], names: Sequence[str], now: datetime | None = None) -> Served:
        """Make a new certificate, whatever is there. See `ensure`, which is what a relay wants."""
        now = now or datetime.now(UTC)
        with self._exclusive():
            root = self._load_or_create(addresses, names, now)
            return self._issue(root, self._wanted(root, addresses, names), now)

    def ensure(self, addresses: Sequence[IPAddress], names: Sequence[str], now: datetime | None = None) -> Served:
        """A certificate that is good for these addresses and names, and for the loopback ones.

        The one on disk stays as long as it covers them, has `RENEW_BEFORE` left and passes `check`. It also stays when an address has
        gone: a phone's "proceed anyway" is tied to the very certificate, and a laptop that leaves its dock and comes back should not ask
        for it again.

        Args:
            addresses: Those outside the authority's limits are left out, with one warning.
            names: DNS names in ASCII, in any case.

        Raises:
            AuthorityError: The folder cannot be used, or what was made does not pass `check`.
        """
        now = now or datetime.now(UTC)
        with self._exclusive():
            root = self._load_or_create(addresses, names, now)
            wanted = self._wanted(root, addresses, names)
            reasons = self._reasons_to_issue(root, wanted, now)
            if not reasons:
                return self._served(root, wanted)
            log.info("A new certificate is made. %s", " ".join(reasons))
            return self._issue(root, wanted, now)

    # the authority

    def _load_or_create(self, addresses: Sequence[IPAddress], names: Sequence[str], now: datetime) -> _Root:
        root = self._read_root()
        if root is not None and root.certificate.not_valid_after_utc - now < RENEW_BEFORE:
            log.warning("The certificate authority in %s has come to its end. A new one is made: phones must install it.", self.folder)
            root = None
        if root is None:
            root = _Root.create(addresses, names, now)
            _write(self.authority_file, root.private_pem())
            log.info("A certificate authority was made in %s.", self.folder)
        elif now < root.certificate.not_valid_before_utc:
            log.warning(
                "This computer's clock says %s, which is before its certificate authority was made. Set the clock; or, if it is right, "
                "delete %s.",
                f"{now:%Y-%m-%d}",
                self.folder,
            )
        if not _holds(self.ca_file, root.public_pem()):
            _write(self.ca_file, root.public_pem(), private=False)
        return root

    def _read_root(self) -> _Root | None:
        # A file that exists and must not be opened (a relay that once ran as root) is an error for a person to solve: replacing that
        # authority would cost all its phones.
        try:
            data = self.authority_file.read_bytes()
        except FileNotFoundError:
            return None
        _keep_private(self.authority_file)
        try:
            return _Root.from_pem(data)
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound) as error:
            aside = self.authority_file.with_suffix(".damaged.pem")
            self.authority_file.replace(aside)
            log.warning(
                "The certificate authority cannot be read (%s). It was moved to %s and a new one is made: phones must install it.",
                error,
                aside,
            )
            return None

    # the certificate

    def _wanted(self, root: _Root, addresses: Sequence[IPAddress], names: Sequence[str]) -> _Wanted:
        wanted = _Wanted.sorted_out(root, addresses, names)
        if wanted.left_out and wanted.left_out != self._warned:
            log.warning(
                "Left out of the certificate, so that browsers will refuse to open it there: %s (the certificate authority is limited to "
                "private networks and to what this computer had when it was made; delete %s to make one that knows it, which phones must "
                "then install).",
                ", ".join(wanted.left_out),
                self.folder,
            )
        self._warned = wanted.left_out
        return wanted

    def _reasons_to_issue(self, root: _Root, wanted: _Wanted, now: datetime) -> list[str]:
        """Sentences, or nothing when the certificate on disk is as good as a new one."""
        if not self.served_file.exists():
            return ["There was none."]
        _keep_private(self.served_file)
        now = root.not_before_made(now)
        problems = check(self.served_file, self.served_file, self.ca_file, wanted.texts(), now)
        if problems:
            return problems
        leaf, *rest = x509.load_pem_x509_certificates(self.served_file.read_bytes())
        if leaf.not_valid_after_utc - now < RENEW_BEFORE:
            return [f"The old one ends on {leaf.not_valid_after_utc:%Y-%m-%d}."]
        if rest != [root.certificate]:
            return ["The old one lacks its authority."]
        return []

    def _issue(self, root: _Root, wanted: _Wanted, now: datetime) -> Served:
        now = root.not_before_made(now)
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = root.sign(key.public_key(), wanted, now)
        _write(self.served_file, _private_pem(key) + leaf.public_bytes(Encoding.PEM) + root.public_pem())
        problems = check(self.served_file, self.served_file, self.ca_file, wanted.texts(), now)
        if problems:
            raise AuthorityError(" ".join(problems))
        return self._served(root, wanted)

    def _served(self, root: _Root, wanted: _Wanted) -> Served:
        leaf = x509.load_pem_x509_certificate(self.served_file.read_bytes())
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return Served(
            cert_file=self.served_file,
            key_file=self.served_file,
            ca_file=self.ca_file,
            ca_pem=root.public_pem(),
            ca_der=root.certificate.public_bytes(Encoding.DER),
            fingerprint=root.certificate.fingerprint(SHA256()).hex(":").upper(),
            addresses=tuple(a for a in names.get_values_for_type(x509.IPAddress) if isinstance(a, IPv4Address | IPv6Address)),
            names=tuple(names.get_values_for_type(x509.DNSName)),
            left_out=wanted.left_out,
            expires=leaf.not_valid_after_utc,
        )

    # the folder

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[None]:
        """The folder exists, is private, and is ours alone until the end of the block."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            _keep_private(self.folder)
            with _locked(self.folder / "lock"):
                for remnant in self.folder.glob(f"{TEMPORARY_PREFIX}*"):
                    remnant.unlink(missing_ok=True)
                yield
        except OSError as error:
            raise AuthorityError(
                f"The certificates in {self.folder} cannot be used: {error.strerror or error} ({error.filename or self.folder}). "
                "Give the folder to the user who runs the relay, or choose another one with --state."
            ) from error


def check(cert_file: Path, key_file: Path, ca_file: Path | None, names: Iterable[str], now: datetime | None = None) -> list[str]:
    """What a browser would object to, if the relay served these files. The files may be anybody's.

    Args:
        cert_file: PEM, the server's certificate first.
        key_file: PEM, unencrypted. May be the same file.
        ca_file: PEM of the authority that browsers are told to trust; None asks nothing about trust.
        names: DNS names and IP addresses, as in a URL, that the certificate must be valid for.
        now: Aware; default the clock.

    Returns:
        Sentences for a person; empty when all is well.
    """
    now = now or datetime.now(UTC)
    try:
        leaf, *intermediates = x509.load_pem_x509_certificates(cert_file.read_bytes())
    except OSError as error:
        return [f"The certificate {cert_file} cannot be read: {error.strerror}."]
    except ValueError:
        return [f"{cert_file} is not a certificate in PEM form, or is damaged."]
    return [
        *_key_problems(leaf, cert_file, key_file),
        *_date_problems(leaf, cert_file, now),
        *_name_problems(leaf, cert_file, names),
        *(_trust_problems(leaf, intermediates, cert_file, ca_file, now) if ca_file else []),
    ]


def _key_problems(leaf: x509.Certificate, cert_file: Path, key_file: Path) -> list[str]:
    try:
        # Through cryptography, because OpenSSL would stop and ask at the terminal for the passphrase of an encrypted key.
        key = load_pem_private_key(key_file.read_bytes(), password=None)
    except OSError as error:
        return [f"The private key {key_file} cannot be read: {error.strerror}."]
    except TypeError:
        return [f"The private key {key_file} is protected by a passphrase; the relay needs one without."]
    except (ValueError, UnsupportedAlgorithm):
        return [f"{key_file} is not a private key in PEM form, or is damaged."]
    if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        return [f"{key_file} holds a kind of key that browsers cannot use."]
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    try:
        context.use_certificate(leaf)
    except SSL.Error as error:
        return [f"TLS refuses the certificate {cert_file}: {_reason(error)}."]
    try:
        context.use_privatekey(key)
        context.check_privatekey()
    except SSL.Error:
        return [f"The private key {key_file} does not belong to the certificate {cert_file}."]
    return []


def _date_problems(leaf: x509.Certificate, cert_file: Path, now: datetime) -> list[str]:
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if now < begin:
        return [f"The certificate {cert_file} begins on {begin:%Y-%m-%d %H:%M} UTC, and the clock says {now:%Y-%m-%d %H:%M}."]
    if now > end:
        return [f"The certificate {cert_file} ended on {end:%Y-%m-%d %H:%M} UTC."]
    return []


def _name_problems(leaf: x509.Certificate, cert_file: Path, names: Iterable[str]) -> list[str]:
    try:
        san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [f"The certificate {cert_file} has no subject alternative names; browsers accept nothing else."]
    except ValueError:
        return [f"The certificate {cert_file} has damaged extensions."]
    addresses = {str(address) for address in san.get_values_for_type(x509.IPAddress)}
    patterns = [pattern.lower() for pattern in san.get_values_for_type(x509.DNSName)]
    missing = [name for name in names if _plain_address(name) not in addresses and not any(_matches(name, pattern) for pattern in patterns)]
    return [f"The certificate {cert_file} is not valid for {', '.join(missing)}."] if missing else []


def _trust_problems(
    leaf: x509.Certificate, intermediates: Sequence[x509.Certificate], cert_file: Path, ca_file: Path, now: datetime
) -> list[str]:
    try:
        roots = x509.load_pem_x509_certificates(ca_file.read_bytes())
    except OSError as error:
        return [f"The authority's certificate {ca_file} cannot be read: {error.strerror}."]
    except ValueError:
        return [f"The authority's certificate {ca_file} is not in PEM form, or is damaged."]
    problems = []
    store = crypto.X509Store()
    store.set_flags(crypto.X509StoreFlags.X509_STRICT)
    # The leaf's own dates have their own sentence; here they only should not hide what else is wrong.
    store.set_time(min(max(now, leaf.not_valid_before_utc), leaf.not_valid_after_utc))
    for root in roots:
        store.add_cert(crypto.X509.from_cryptography(root))
    chain = [crypto.X509.from_cryptography(certificate) for certificate in intermediates]
    try:
        crypto.X509StoreContext(store, crypto.X509.from_cryptography(leaf), chain).verify_certificate()
    except crypto.X509StoreContextError as error:
        problems.append(f"The certificate {cert_file} is not vouched for by {ca_file}: {error}.")
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if ExtendedKeyUsageOID.SERVER_AUTH not in usage:
            problems.append(f"The certificate {cert_file} is not meant for servers (extended key usage).")
    except (x509.ExtensionNotFound, ValueError):
        problems.append(f"The certificate {cert_file} does not say that it is meant for servers (extended key usage); Apple asks for it.")
    return problems


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a certificate shall be valid for, without repetitions, and what it cannot be valid for."""

    addresses: tuple[IPAddress, ...]
    names: tuple[str, ...]
    left_out: tuple[str, ...]

    @classmethod
    def sorted_out(cls, root: _Root, addresses: Iterable[IPAddress], names: Iterable[str]) -> _Wanted:
        addresses = list(dict.fromkeys(ip_address(address.packed) for address in addresses))  # packed: without an IPv6 scope
        names = list(dict.fromkeys(name.lower().rstrip(".") for name in names))
        left_out = [str(address) for address in addresses if not root.permits_address(address)]
        left_out += [name for name in names if not root.permits_name(name)]
        return cls(
            addresses=tuple(a for a in dict.fromkeys([*addresses, *LOOPBACK_ADDRESSES]) if root.permits_address(a)),
            names=tuple(n for n in dict.fromkeys([*names, *LOOPBACK_NAMES]) if root.permits_name(n)),
            left_out=tuple(left_out),
        )

    def texts(self) -> list[str]:
        return [*map(str, self.addresses), *self.names]


class _Root:
    """An authority in memory."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
        self.certificate = certificate
        self.key = key
        constraints = _extension(certificate, x509.NameConstraints)
        permitted = constraints.permitted_subtrees or [] if constraints else []
        self.networks = [name.value for name in permitted if isinstance(name.value, IPv4Network | IPv6Network)]
        self.domains = [name.value.lower().lstrip(".") for name in permitted if isinstance(name, x509.DNSName)]

    @classmethod
    def create(cls, addresses: Iterable[IPAddress], names: Iterable[str], now: datetime) -> _Root:
        hosts = [name.lower().rstrip(".") for name in names if name.isascii()]
        domains = [*PRIVATE_DOMAINS]
        domains += [host for host in dict.fromkeys(hosts) if host and not any(_within(host, domain) for domain in PRIVATE_DOMAINS)]
        networks = [*PRIVATE_NETWORKS]
        networks += [
            ip_network(address.packed)
            for address in dict.fromkeys(addresses)
            if not any(address in network for network in PRIVATE_NETWORKS)
        ]
        key = ec.generate_private_key(ec.SECP256R1())
        # The day is in the name because a phone may hold an older authority of this computer: people tell them apart by it, and some
        # TLS libraries look an issuer up by its name alone.
        host = next((host for host in hosts if host not in LOOPBACK_NAMES), "localhost")
        subject = _name(f"drawercam, {now:%Y-%m-%d %H:%M:%S}, {host}")
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - CLOCK_SKEW)
            .not_valid_after(now - CLOCK_SKEW + ROOT_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                # Not critical, against RFC 5280 4.2.1.10: whoever knows the extension enforces it either way, and an old phone that
                # does not know it would otherwise refuse the authority altogether.
                x509.NameConstraints([*map(x509.IPAddress, networks), *map(x509.DNSName, domains)], None),
                critical=False,
            )
            .sign(key, SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def from_pem(cls, data: bytes) -> _Root:
        """Raises ValueError, TypeError, UnsupportedAlgorithm or ExtensionNotFound: not the key and certificate of an authority."""
        certificate = x509.load_pem_x509_certificate(data)
        key = load_pem_private_key(data, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise ValueError("a kind of key that signs no certificates")
        if key.public_key() != certificate.public_key():
            raise ValueError("key and certificate do not belong together")
        if not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            raise ValueError("the certificate is not an authority's")
        return cls(certificate, key)

    def private_pem(self) -> bytes:
        return _private_pem(self.key) + self.public_pem()

    def public_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def not_before_made(self, now: datetime) -> datetime:
        """A computer without a battery for its clock starts in the past; that must not make certificates which end there."""
        return max(now, self.certificate.not_valid_before_utc + CLOCK_SKEW)

    def permits_address(self, address: IPAddress) -> bool:
        return not self.networks or any(address in network for network in self.networks)

    def permits_name(self, name: str) -> bool:
        return bool(name) and name.isascii() and (not self.domains or any(_within(name, domain) for domain in self.domains))

    def sign(self, public_key: ec.EllipticCurvePublicKey, wanted: _Wanted, now: datetime) -> x509.Certificate:
        begin = now - CLOCK_SKEW
        subject_key = _extension(self.certificate, x509.SubjectKeyIdentifier)
        return (
            x509.CertificateBuilder()
            # The space keeps verifiers from taking the common name for a host name, which the constraints would then forbid.
            .subject_name(_name("drawercam relay"))
            .issuer_name(self.certificate.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(min(begin + LEAF_LIFETIME, self.certificate.not_valid_after_utc))
            .add_extension(
                x509.SubjectAlternativeName([*map(x509.IPAddress, wanted.addresses), *map(x509.DNSName, wanted.names)]), critical=False
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(subject_key)
                if subject_key
                else x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
            .sign(self.key, SHA256())
        )


def _extension(certificate: x509.Certificate, kind: type[Extension]) -> Extension | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _key_usage(*, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:COMMON_NAME_LIMIT])])


def _private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _within(name: str, domain: str) -> bool:
    """Whether a DNS name is in the subtree of a name constraint (RFC 5280 4.2.1.10)."""
    return name == domain or name.endswith(f".{domain}")


def _matches(name: str, pattern: str) -> bool:
    """Whether a certificate's DNS name covers a host (RFC 6125 6.4.3: a wildcard stands for one whole label, the first)."""
    name = name.lower().rstrip(".")
    if pattern.startswith("*."):
        return "." in name and name.partition(".")[2] == pattern[2:]
    return name == pattern


def _plain_address(text: str) -> str:
    """An IP address as the standard library writes it; any other text as it is."""
    try:
        return str(ip_address(text))
    except ValueError:
        return text


def _reason(error: SSL.Error) -> str:
    """OpenSSL's own words, which come as a list of (library, function, reason)."""
    details = error.args[0] if error.args else []
    return ", ".join(detail[2] for detail in details) or "no reason given"


# files


def _write(path: Path, data: bytes, private: bool = True) -> None:
    """Replace a file in one step that survives a power cut: the old content or the new one, never half of it."""
    handle, temporary = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, dir=path.parent)  # mode 0600 from its first byte on
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if not private:
        Path(temporary).chmod(0o644)
    Path(temporary).replace(path)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the rename itself
        finally:
            os.close(folder)


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except FileNotFoundError:
        return False


def _keep_private(path: Path) -> None:
    """Take away what group and others may do; a copy or a backup loses such modes. File systems without modes are let be."""
    if os.name != "posix":
        return
    mode = path.stat().st_mode
    if mode & 0o077:
        with contextlib.suppress(OSError):
            path.chmod(mode & 0o700)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock between threads and processes; the system gives it back when its holder dies.

    Raises:
        TimeoutError: Another holder has kept it for `LOCK_PATIENCE`.
    """
    with path.open("ab") as file:
        deadline = time.monotonic() + LOCK_PATIENCE
        while not _try_lock(file.fileno()):
            if time.monotonic() > deadline:
                raise TimeoutError(errno.ETIMEDOUT, "another relay keeps it locked", str(path))
            time.sleep(LOCK_POLL)
        yield  # closing the file unlocks it


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return True  # a file system that knows no locks, such as some network shares: go on without
        return True
