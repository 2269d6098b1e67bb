"""What a browser would object to in a certificate and its key, said before a browser says it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL, crypto

LONGEST_LIFE = 825
"""Days; support.apple.com/103769."""

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME (x509_vfy.h), which pyOpenSSL does not name."""


def check(
    cert_file: Path,
    key_file: Path,
    ca_file: Path | None,
    names: Iterable[str],
    now: datetime | None = None,
) -> list[str]:
    """What a browser would object to, if the relay served these files. The files may be anybody's.

    Args:
        cert_file: PEM, the server's certificate first.
        key_file: PEM, unencrypted. May be the same file.
        ca_file: PEM of the authority that browsers are told to trust; None asks only whether the
            certificates in the file form a chain.
        names: DNS names and IP addresses, as in a URL, that the certificate must be valid for.
        now: Aware; default the clock.

    Returns:
        Sentences for a person; empty when all is well.
    """
    now = now or datetime.now(UTC)
    loaded = _loaded(cert_file)
    if isinstance(loaded, str):
        return [loaded]
    leaf, *intermediates = loaded
    return [
        *_key_problems(leaf, cert_file, key_file),
        *_date_problems(leaf, cert_file, now),
        *_name_problems(leaf, cert_file, names),
        *_usage_problems(leaf, cert_file),
        *(
            _trust_problems(leaf, intermediates, cert_file, ca_file, now)
            if ca_file
            else _chain_problems(leaf, intermediates, cert_file, now)
        ),
    ]


def unusable(cert_file: Path, key_file: Path) -> list[str]:
    """Why TLS could not serve these files at all, in sentences; empty when it can.

    See `check` for the arguments.
    """
    loaded = _loaded(cert_file)
    return [loaded] if isinstance(loaded, str) else _key_problems(loaded[0], cert_file, key_file)


def known_here(chain: Sequence[x509.Certificate]) -> bool:
    """Whether the authorities that this computer trusts vouch for a chain. Its dates do not matter.

    Always true where OpenSSL cannot know them: Windows and macOS keep theirs elsewhere.
    """
    if sys.platform in ("win32", "darwin"):
        return True
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_default_verify_paths()
    store = context.get_cert_store()
    if store is None:
        return True
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN | _NO_CHECK_TIME)
    leaf, *intermediates = map(crypto.X509.from_cryptography, chain)
    try:
        crypto.X509StoreContext(store, leaf, intermediates).verify_certificate()
    except crypto.X509StoreContextError:
        return False
    return True


def _loaded(cert_file: Path) -> list[x509.Certificate] | str:
    """The certificates in a file, one at least, or a sentence."""
    try:
        return x509.load_pem_x509_certificates(cert_file.read_bytes())
    except OSError as error:
        return f"The certificate {cert_file} cannot be read: {error.strerror}."
    except ValueError:
        return f"{cert_file} is not a certificate in PEM form, or is damaged."


def _key_problems(leaf: x509.Certificate, cert_file: Path, key_file: Path) -> list[str]:
    try:
        # Through cryptography, because OpenSSL would stop and ask at the terminal for the
        # passphrase of an encrypted key.
        key = load_pem_private_key(key_file.read_bytes(), password=None)
    except OSError as error:
        return [f"The private key {key_file} cannot be read: {error.strerror}."]
    except TypeError:
        return [
            f"The private key {key_file} is protected by a passphrase; the relay needs one without."
        ]
    except (ValueError, UnsupportedAlgorithm):
        return [f"{key_file} is not a private key in PEM form, or is damaged."]
    if not isinstance(
        key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
    ):
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
        return [
            (
                f"The certificate {cert_file} begins on {begin:%Y-%m-%d %H:%M} UTC, and the "
                f"clock says {now:%Y-%m-%d %H:%M}."
            )
        ]
    if now > end:
        return [f"The certificate {cert_file} ended on {end:%Y-%m-%d %H:%M} UTC."]
    return []


def _name_problems(leaf: x509.Certificate, cert_file: Path, names: Iterable[str]) -> list[str]:
    try:
        san = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return [
            (
                f"The certificate {cert_file} has no subject alternative names; browsers "
                "accept nothing else."
            )
        ]
    except ValueError:
        return [f"The certificate {cert_file} has damaged extensions."]
    addresses = {str(address) for address in san.get_values_for_type(x509.IPAddress)}
    patterns = [pattern.lower() for pattern in san.get_values_for_type(x509.DNSName)]
    missing = [
        name
        for name in names
        if _plain_address(name) not in addresses
        and not any(matches(name, pattern) for pattern in patterns)
    ]
    return (
        [f"The certificate {cert_file} is not valid for {', '.join(missing)}."] if missing else []
    )


def _trust_problems(
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    cert_file: Path,
    ca_file: Path,
    now: datetime,
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
    # The leaf's own dates have their own sentence; here they only should not hide what else is
    # wrong.
    store.set_time(min(max(now, leaf.not_valid_before_utc), leaf.not_valid_after_utc))
    for root in roots:
        store.add_cert(crypto.X509.from_cryptography(root))
    chain = [crypto.X509.from_cryptography(certificate) for certificate in intermediates]
    try:
        crypto.X509StoreContext(
            store, crypto.X509.from_cryptography(leaf), chain
        ).verify_certificate()
    except crypto.X509StoreContextError as error:
        problems.append(f"The certificate {cert_file} is not vouched for by {ca_file}: {error}.")
    return problems


def _chain_problems(
    leaf: x509.Certificate,
    intermediates: Sequence[x509.Certificate],
    cert_file: Path,
    now: datetime,
) -> list[str]:
    store = crypto.X509Store()
    # Who vouches for the last certificate is not asked here, so it stands for an authority itself.
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)
    store.set_time(min(max(now, leaf.not_valid_before_utc), leaf.not_valid_after_utc))
    store.add_cert(crypto.X509.from_cryptography(intermediates[-1] if intermediates else leaf))
    chain = [crypto.X509.from_cryptography(certificate) for certificate in intermediates]
    try:
        crypto.X509StoreContext(
            store, crypto.X509.from_cryptography(leaf), chain
        ).verify_certificate()
    except crypto.X509StoreContextError as error:
        return [
            (
                f"The certificates in {cert_file} are no chain ({error}): the relay's own "
                "comes first, then the one that signed it."
            )
        ]
    return []


def _usage_problems(leaf: x509.Certificate, cert_file: Path) -> list[str]:
    days = (leaf.not_valid_after_utc - leaf.not_valid_before_utc).days
    problems = []
    if days > LONGEST_LIFE:
        problems.append(
            f"The certificate {cert_file} is valid for {days} days; iPhones and Macs "
            f"refuse more than {LONGEST_LIFE}."
        )
    try:
        usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        if ExtendedKeyUsageOID.SERVER_AUTH not in usage:
            problems.append(
                f"The certificate {cert_file} is not meant for servers (extended key usage)."
            )
    except (x509.ExtensionNotFound, ValueError):
        problems.append(
            f"The certificate {cert_file} does not say that it is meant for servers "
            "(extended key usage); Apple asks for it."
        )
    return problems


def matches(name: str, pattern: str) -> bool:
    """Whether a certificate's DNS name covers a host (RFC 6125 6.4.3: a wildcard stands for one
    whole label, the first).
    """
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
