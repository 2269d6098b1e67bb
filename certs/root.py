"""An authority in memory: its key, its certificate, and what it may sign."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from groundwork.addresses import is_dns_name

IPAddress = IPv4Address | IPv6Address
IPNetwork = IPv4Network | IPv6Network
Extension = TypeVar("Extension", bound=x509.ExtensionType)

ROOT_LIFETIME = timedelta(days=3652)
"""Ten years: longer than a drawer phone lasts, and installing an authority again on each of them is
the worst chore there is.
"""

LEAF_LIFETIME = timedelta(days=397)
"""Apple allows 825 days from private authorities and 398 from public ones; the smaller one is safe
whatever they decide next.
"""

CLOCK_SKEW = timedelta(hours=1)
"""How far validity begins in the past: an old phone without a SIM has a clock that is minutes
behind.
"""

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
"""What an authority may sign for.

A stolen key cannot pose as a bank: browsers enforce these name constraints (RFC 5280 4.2.1.10).
"""

PRIVATE_DOMAINS = ("local", "localhost")

SHARED_DOMAINS = (
    "ac",
    "co",
    "com",
    "edu",
    "gen",
    "go",
    "gob",
    "gov",
    "ltd",
    "me",
    "mil",
    "ne",
    "net",
    "nom",
    "or",
    "org",
    "plc",
    "sch",
)
"""Below the two letters of many a country these are for everybody, as in co.uk. (The list of all
such domains has 10,000 and changes every week. One that is not here gets in only by a person: as
this computer's full name, or by `--allow-host`.)
"""

LOOPBACK_ADDRESSES: tuple[IPAddress, ...] = (IPv4Address("127.0.0.1"), IPv6Address("::1"))
LOOPBACK_NAMES = ("localhost",)
"""In every certificate, so that the relay's own computer can always open its pages."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a certificate shall be valid for, without repetitions, and what it cannot be valid
    for.
    """

    addresses: tuple[IPAddress, ...]
    names: tuple[str, ...]
    left_out: tuple[str, ...]
    never: tuple[str, ...] = ()
    """What is left out by any authority, see `may_permit`."""

    @classmethod
    def sorted_out(cls, root: Root, addresses: Iterable[IPAddress], names: Iterable[str]) -> Wanted:
        addresses = list(
            dict.fromkeys(ip_address(address.packed) for address in addresses)
        )  # packed: without an IPv6 scope
        names = list(dict.fromkeys(name.lower().rstrip(".") for name in names))
        left_out = [str(address) for address in addresses if not root.permits_address(address)]
        left_out += [name for name in names if not root.permits_name(name)]
        # What an older authority may vouch for it always could, so pages that were opened there
        # stay open.
        return cls(
            addresses=tuple(
                a
                for a in dict.fromkeys([*addresses, *LOOPBACK_ADDRESSES])
                if root.permits_address(a)
            ),
            names=tuple(
                n
                for n in dict.fromkeys([*names, *LOOPBACK_NAMES, *root.too_wide])
                if root.permits_name(n)
            ),
            left_out=tuple(left_out),
            never=tuple(name for name in left_out if is_dns_name(name) and not may_permit(name)),
        )

    def texts(self) -> list[str]:
        return [*map(str, self.addresses), *self.names]


class Root:
    """An authority in memory."""

    def __init__(
        self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    ) -> None:
        self.certificate = certificate
        self.key = key
        constraints = _extension(certificate, x509.NameConstraints)
        permitted = constraints.permitted_subtrees or [] if constraints else []
        self.networks = [
            name.value for name in permitted if isinstance(name.value, IPv4Network | IPv6Network)
        ]
        self.domains = [
            name.value.lower().lstrip(".") for name in permitted if isinstance(name, x509.DNSName)
        ]
        self.too_wide = [
            domain for domain in self.domains if is_dns_name(domain) and not may_permit(domain)
        ]

    @classmethod
    def create(cls, addresses: Iterable[IPAddress], names: Iterable[str], now: datetime) -> Root:
        hosts = [host for host in (name.lower().rstrip(".") for name in names) if may_permit(host)]
        domains = [*PRIVATE_DOMAINS]
        domains += [
            host
            for host in dict.fromkeys(hosts)
            if not any(_within(host, domain) for domain in PRIVATE_DOMAINS)
        ]
        networks = [*PRIVATE_NETWORKS]
        networks += [
            ip_network(address.packed)
            for address in dict.fromkeys(addresses)
            if not any(address in network for network in PRIVATE_NETWORKS)
        ]
        key = ec.generate_private_key(ec.SECP256R1())
        # The day is in the name because a phone may hold an older authority of this computer:
        # people tell them apart by it, and some TLS libraries look an issuer up by its name alone.
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
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .add_extension(
                # Not critical, against RFC 5280 4.2.1.10: whoever knows the extension enforces it
                # either way, and an old phone that does not know it would otherwise refuse the
                # authority altogether.
                x509.NameConstraints(
                    [*map(x509.IPAddress, networks), *map(x509.DNSName, domains)], None
                ),
                critical=False,
            )
            .sign(key, SHA256())
        )
        return cls(certificate, key)

    @classmethod
    def from_pem(cls, data: bytes) -> Root:
        """Raises ValueError, TypeError, UnsupportedAlgorithm or ExtensionNotFound: not the key and
        certificate of an authority.
        """
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
        return private_pem(self.key) + self.public_pem()

    def public_pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def not_before_made(self, now: datetime) -> datetime:
        """A computer without a battery for its clock starts in the past; that must not make
        certificates which end there.
        """
        return max(now, self.certificate.not_valid_before_utc + CLOCK_SKEW)

    def unlimited(self) -> str:
        """What it may vouch for though that is other people's, as it follows "for"; "" for nothing.

        Earlier versions made such ones.
        """
        if not self.domains or "" in self.domains:
            return "every name there is"
        ends = " or ".join(f".{domain}" for domain in self.too_wide)
        return f"every name that ends in {ends}" if ends else ""

    def permits_address(self, address: IPAddress) -> bool:
        return not self.networks or any(address in network for network in self.networks)

    def permits_name(self, name: str) -> bool:
        return (
            bool(name)
            and name.isascii()
            and (not self.domains or any(_within(name, domain) for domain in self.domains))
        )

    def sign(
        self, public_key: ec.EllipticCurvePublicKey, wanted: Wanted, now: datetime
    ) -> x509.Certificate:
        begin = now - CLOCK_SKEW
        subject_key = _extension(self.certificate, x509.SubjectKeyIdentifier)
        return (
            x509.CertificateBuilder()
            # The space keeps verifiers from taking the common name for a host name, which the
            # constraints would then forbid.
            .subject_name(_name("drawercam relay"))
            .issuer_name(self.certificate.subject)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(min(begin + LEAF_LIFETIME, self.certificate.not_valid_after_utc))
            .add_extension(
                x509.SubjectAlternativeName(
                    [*map(x509.IPAddress, wanted.addresses), *map(x509.DNSName, wanted.names)]
                ),
                critical=False,
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


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
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


def private_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def may_permit(name: str) -> bool:
    """Whether an authority is made for a name, which covers all names that end in it (RFC 5280
    4.2.1.10).

    Never for one of a single label, however a computer is called: `garden`, `dev` and `box` are
    public top-level domains, and any other may become one. Nor for one that many share
    (`SHARED_DOMAINS`).
    """
    labels = name.split(".")
    shared = len(labels) < 2 or (
        len(labels) == 2 and labels[0] in SHARED_DOMAINS and len(labels[1]) == 2
    )
    return is_dns_name(name) and (name in PRIVATE_DOMAINS or not shared)


def _within(name: str, domain: str) -> bool:
    """Whether a DNS name is in the subtree of a name constraint (RFC 5280 4.2.1.10)."""
    return name == domain or name.endswith(f".{domain}")
