"""A certificate authority of one's own, and the certificate that the relay serves.

Browsers give the camera to https pages only, and nobody issues public certificates for 192.168.x.y.
So the relay makes an authority once (which a person may install on the phones) and from it a
certificate for every address that it has today.

The folder of an authority holds

    authority.pem   its private key and certificate, with which a thief could pose as any address
                    in the limits below
    ca.crt          its certificate alone, to install on phones
    served.pem      what the relay serves: private key, certificate, the authority's certificate

Key and certificate share a file so that one rename replaces both: no crash and no second relay can
leave a key beside a certificate that is not its own.

The profile is RFC 5280's, within what Apple asks for (SAN, SHA-256, serverAuth, 825 days at most;
support.apple.com/103769).
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from groundwork import state_files

from .check import check, matches, unusable
from .root import IPAddress, Root, Wanted, private_pem

log = logging.getLogger("drawercam.certs")

RENEW_BEFORE = timedelta(days=30)
"""A certificate with less than this left is made anew."""

KEY_EXCHANGE = "prime256v1"
"""The only group in which keys are exchanged (NIST P-256, RFC 8446 4.2.7): every browser knows it,
and it costs the relay 0.1 ms. In the finite-field groups (ffdhe8192) a stranger who sends 1 KB
makes it compute for 150 ms. Which groups are offered beside one cannot be said before Python 3.15,
so a phone that would rather have had X25519 asks twice: one round trip more.
"""


class AuthorityError(Exception):
    """The certificates can be neither read nor made.

    The text is a sentence that says what to do.
    """


@dataclass(frozen=True, slots=True)
class Served:
    """What the relay serves, on disk and checked.

    Attributes:
        cert_file: PEM: the certificate and those that vouch for it, in the order in which TLS sends
            them.
        key_file: PEM: the private key, unencrypted. May be the same file.
        addresses, names: Everything that the certificate is valid for; a name may begin with
            ``*.``.
        expires: When the certificate ends, in UTC.
        chain: SHA-256 of the certificates in ``cert_file``: tells one from another that says the
            same of itself.
        ca_file: PEM: the authority's certificate alone. None when the authority is not the relay's
            own; then the next four are empty.
        ca_pem, ca_der: The authority's certificate, for download as ``application/x-x509-ca-cert``.
        fingerprint: SHA-256 of ``ca_der`` in upper-case hexadecimal bytes with colons, as phones
            show it.
        unlimited: What the authority may vouch for though that is other people's, as it follows
            "for"; "" for nothing.
        left_out: What was asked for and lies outside the authority's limits.
        warnings: Sentences about what browsers will object to, or soon will.
        makeshift: It is not what was asked for, which cannot be written down.
    """

    cert_file: Path
    key_file: Path
    addresses: tuple[IPAddress, ...]
    names: tuple[str, ...]
    expires: datetime
    chain: str
    ca_file: Path | None = None
    ca_pem: bytes = b""
    ca_der: bytes = b""
    fingerprint: str = ""
    unlimited: str = ""
    left_out: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    makeshift: bool = False

    @classmethod
    def read(
        cls,
        cert_file: Path,
        key_file: Path,
        *,
        root: Root | None = None,
        ca_file: Path | None = None,
        left_out: tuple[str, ...] = (),
        warnings: tuple[str, ...] = (),
        makeshift: bool = False,
    ) -> Served:
        """Of files that `check` has read before.

        ``root`` is the relay's own authority, if it is that one's.
        """
        certificates = x509.load_pem_x509_certificates(cert_file.read_bytes())
        san = x509.SubjectAlternativeName([])
        with contextlib.suppress(x509.ExtensionNotFound, ValueError):
            san = (
                certificates[0]
                .extensions.get_extension_for_class(x509.SubjectAlternativeName)
                .value
            )
        return cls(
            cert_file=cert_file,
            key_file=key_file,
            addresses=tuple(
                a
                for a in san.get_values_for_type(x509.IPAddress)
                if isinstance(a, IPv4Address | IPv6Address)
            ),
            names=tuple(name.lower() for name in san.get_values_for_type(x509.DNSName)),
            expires=certificates[0].not_valid_after_utc,
            chain=hashlib.sha256(
                b"".join(one.public_bytes(Encoding.DER) for one in certificates)
            ).hexdigest(),
            ca_file=ca_file,
            ca_pem=root.public_pem() if root else b"",
            ca_der=root.certificate.public_bytes(Encoding.DER) if root else b"",
            fingerprint=root.certificate.fingerprint(SHA256()).hex(":").upper() if root else "",
            unlimited=root.unlimited() if root else "",
            left_out=left_out,
            warnings=warnings,
            makeshift=makeshift,
        )

    def covers(self, host: IPAddress | str) -> bool:
        """Whether a browser that trusts the authority accepts the certificate for this address or
        name.
        """
        if isinstance(host, str):
            return any(matches(host, name) for name in self.names)
        return host in self.addresses

    def server_context(self) -> ssl.SSLContext:
        """A context to serve with. For another certificate there is another one: a context keeps
        one of each kind of key.

        TLS 1.2 is the floor and not 1.3, because phones on Android 9 and iOS 12 end there. There is
        no compression (CRIME), and HTTP/1.1 alone is offered (ALPN), because WebSocket over HTTP/2
        is something the relay does not speak. Keys are exchanged in `KEY_EXCHANGE`, whatever kind
        of key the certificate has.

        Raises:
            OSError: The files have been taken away or spoiled since they were checked.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        context.set_ecdh_curve(KEY_EXCHANGE)
        context.load_cert_chain(
            self.cert_file, self.key_file, password=""
        )  # with the empty one OpenSSL never asks at the terminal
        return context


class Authority:
    """The authority whose files are in one folder; made there on first use.

    Safe to use from several threads and processes at once. Its methods block for some milliseconds
    of file work.

    Every method takes ``now`` (aware, default the clock) so that a test can live in another year.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority_file = folder / "authority.pem"
        self.ca_file = folder / "ca.crt"
        self.served_file = folder / "served.pem"
        self._warned: tuple[str, ...] = ()

    def load_or_create(
        self,
        addresses: Sequence[IPAddress] = (),
        names: Sequence[str] = (),
        now: datetime | None = None,
    ) -> x509.Certificate:
        """The authority's certificate.

        An authority is made only where there is none, or where it cannot be read or ends within
        `RENEW_BEFORE`.

        Args:
            addresses, names: When one is made, it may sign for these too, beside `PRIVATE_NETWORKS`
                and `PRIVATE_DOMAINS`.

        Raises:
            AuthorityError: The folder cannot be used.
        """
        with self._exclusive() as hindrance:
            return self._load_or_create(
                addresses, names, now or datetime.now(UTC), hindrance
            ).certificate

    def issue(
        self, addresses: Sequence[IPAddress], names: Sequence[str], now: datetime | None = None
    ) -> Served:
        """Make a new certificate, whatever is there. See `ensure`, which is what a relay wants."""
        now = now or datetime.now(UTC)
        with self._exclusive() as hindrance:
            root = self._load_or_create(addresses, names, now, hindrance)
            return self._issue(root, self._wanted(root, addresses, names), now, hindrance)

    def ensure(
        self, addresses: Sequence[IPAddress], names: Sequence[str], now: datetime | None = None
    ) -> Served:
        """A certificate that is good for these addresses and names, and for the loopback ones.

        The one on disk stays as long as it covers them, has `RENEW_BEFORE` left and passes `check`.
        It also stays when an address has gone: a phone's "proceed anyway" is tied to the very
        certificate, and a laptop that leaves its dock and comes back should not ask for it again.

        Args:
            addresses: Those outside the authority's limits are left out, with one warning.
            names: DNS names in ASCII, in any case.

        Raises:
            AuthorityError: The folder cannot be used, or what was made does not pass `check`.
        """
        now = now or datetime.now(UTC)
        with self._exclusive() as hindrance:
            root = self._load_or_create(addresses, names, now, hindrance)
            wanted = self._wanted(root, addresses, names)
            reasons = self._reasons_to_issue(root, wanted, now)
            if not reasons:
                return self._served(root, wanted)
            try:
                served = self._issue(root, wanted, now, hindrance)
            except OSError as error:
                if error.errno not in state_files.HINDRANCES or unusable(
                    self.served_file, self.served_file
                ):
                    raise
                why = f"{error.strerror}. {state_files.advice(error, self.folder)}"
                sentence = (
                    f"Browsers may warn. {' '.join(reasons)} A new certificate cannot be kept "
                    f"in {self.folder}: {why}."
                )
                return self._served(root, wanted, sentence)
            log.info("A new certificate is made. %s", " ".join(reasons))
            return served

    def stale(self, served: Served, now: datetime) -> bool:
        """Whether `ensure` would make another one because this one nears its end, or is not what
        was wanted. Reads nothing.
        """
        return served.makeshift or served.expires - now < RENEW_BEFORE

    # the authority

    def _load_or_create(
        self,
        addresses: Sequence[IPAddress],
        names: Sequence[str],
        now: datetime,
        hindrance: OSError | None = None,
    ) -> Root:
        root = self._read_root()
        if (
            root is not None
            and hindrance is None
            and root.certificate.not_valid_after_utc - now < RENEW_BEFORE
        ):
            log.warning(
                (
                    "The certificate authority in %s has come to its end. A new one is made: "
                    "phones must install it."
                ),
                self.folder,
            )
            root = None
        if root is None:
            _allow(hindrance)
            root = Root.create(addresses, names, now)
            state_files.write(self.authority_file, root.private_pem())
            log.info("A certificate authority was made in %s.", self.folder)
        elif now < root.certificate.not_valid_before_utc:
            log.warning(
                "This computer's clock says %s, which is before its certificate authority "
                "was made. Set the clock; or, if it is right, "
                "delete %s.",
                f"{now:%Y-%m-%d}",
                self.folder,
            )
        if not state_files.holds(self.ca_file, root.public_pem()):
            _allow(hindrance)
            state_files.write(self.ca_file, root.public_pem(), private=False)
        return root

    def _read_root(self) -> Root | None:
        # A file that exists and must not be opened (a relay that once ran as root) is an error for
        # a person to solve: replacing that authority would cost all its phones.
        try:
            data = self.authority_file.read_bytes()
        except FileNotFoundError:
            return None
        state_files.keep_private(self.authority_file)
        try:
            return Root.from_pem(data)
        except (ValueError, TypeError, UnsupportedAlgorithm, x509.ExtensionNotFound) as error:
            aside = self.authority_file.with_suffix(".damaged.pem")
            self.authority_file.replace(aside)
            log.warning(
                (
                    "The certificate authority cannot be read (%s). It was moved to %s and a "
                    "new one is made: phones must install it."
                ),
                error,
                aside,
            )
            return None

    # the certificate

    def _wanted(self, root: Root, addresses: Sequence[IPAddress], names: Sequence[str]) -> Wanted:
        wanted = Wanted.sorted_out(root, addresses, names)
        news = [text for text in wanted.left_out if text not in (*self._warned, *wanted.never)]
        if news:
            # A computer changes its public IPv6 addresses every day (RFC 8981), and no phone at
            # home needs them.
            log.log(
                logging.INFO if all(":" in text for text in news) else logging.WARNING,
                "Left out of the certificate, so that browsers will refuse to open it "
                "there: %s (the certificate authority is limited to "
                "private networks and to what this computer had when it was made; delete "
                "%s to make one that knows it, which phones must "
                "then install).",
                ", ".join(text for text in wanted.left_out if text not in wanted.never),
                self.folder,
            )
        self._warned = wanted.left_out
        return wanted

    def _reasons_to_issue(self, root: Root, wanted: Wanted, now: datetime) -> list[str]:
        """Sentences, or nothing when the certificate on disk is as good as a new one."""
        if not self.served_file.exists():
            return ["There was none."]
        state_files.keep_private(self.served_file)
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

    def _issue(
        self, root: Root, wanted: Wanted, now: datetime, hindrance: OSError | None = None
    ) -> Served:
        _allow(hindrance)
        now = root.not_before_made(now)
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = root.sign(key.public_key(), wanted, now)
        state_files.write(
            self.served_file, private_pem(key) + leaf.public_bytes(Encoding.PEM) + root.public_pem()
        )
        problems = check(self.served_file, self.served_file, self.ca_file, wanted.texts(), now)
        if problems:
            raise AuthorityError(" ".join(problems))
        return self._served(root, wanted)

    def _served(self, root: Root, wanted: Wanted, makeshift: str = "") -> Served:
        """What is on the disk.

        Args:
            makeshift: A sentence that says why it is not what is wanted, if it is not.
        """
        return Served.read(
            self.served_file,
            self.served_file,
            root=root,
            ca_file=self.ca_file,
            left_out=wanted.left_out,
            warnings=(*self._warnings(root, wanted), *([makeshift] if makeshift else [])),
            makeshift=bool(makeshift),
        )

    def _warnings(self, root: Root, wanted: Wanted) -> Iterator[str]:
        if wide := root.unlimited():
            yield (
                f"The certificate authority in {self.folder} was made by an earlier "
                f"version and may vouch for {wide}, other people's "
                "sites among them. Somebody who steals its key can pose as those to phones "
                "that trust it. To make one that may not, delete "
                "that folder and start again; then let the phones trust the new one, and "
                "take the old one off them."
            )
        if wanted.never:
            yield (
                f"Browsers will warn at {', '.join(wanted.never)}: an authority that may "
                "vouch for such a name may do so for all that end "
                "in it, so this one may not. Use a name that ends in .local, or a "
                "certificate of your own (--cert and --key)."
            )

    # the folder

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[OSError | None]:
        """The folder exists, is private, and is ours alone until the end of the block; or why
        nothing can be written into it.
        """
        try:
            with state_files.exclusive_or_reading(self.folder, "lock") as hindrance:
                yield hindrance
        except OSError as error:
            raise AuthorityError(
                f"The certificates in {self.folder} cannot be used: "
                f"{error.strerror or error} ({error.filename or self.folder}). "
                f"{state_files.advice(error, self.folder)}."
            ) from error


def _allow(hindrance: OSError | None) -> None:
    """Raise it, before something would be written."""
    if hindrance is not None:
        raise hindrance
