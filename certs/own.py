"""A certificate that somebody brings along: `--cert` and `--key`, from mkcert, an ACME client or a
company's authority.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from .authority import AuthorityError, Served
from .check import check, known_here, unusable
from .root import LOOPBACK_NAMES, IPAddress

log = logging.getLogger("drawercam.certs")

WARN_BEFORE = timedelta(days=14)
"""Before its end.

ACME clients renew 30 days before, so two weeks of warnings mean that the client has stopped
working.
"""

WARN_SHARE = 3
"""Certificates of a few days exist: those are warned about in the last third of their life."""

WARN_AGAIN = timedelta(days=1)
"""Between two warnings about an end that comes near."""

Signature = tuple[tuple[int, int, int], ...]


class OwnCertificate:
    """The files of `--cert` and `--key`. Like an `Authority`, only that it never makes one; the
    files belong to somebody else.

    Its methods block for some milliseconds of file work.
    """

    def __init__(self, cert_file: Path, key_file: Path) -> None:
        self.cert_file = cert_file
        self.key_file = key_file
        self._read: Signature | None = None
        self._look_again = datetime.min.replace(tzinfo=UTC)

    def ensure(
        self, addresses: Sequence[IPAddress], names: Sequence[str], now: datetime | None = None
    ) -> Served:
        """What the files hold now.

        What TLS itself can live with (dates, names, nobody that vouches for it) is served all the
        same, with `Served.warnings`: those who click through a browser's warning get in, and a
        relay that does not start after a power cut helps nobody.

        Args:
            addresses, names: What the relay can be reached at. A certificate that is good for none
                of these and has no name of its own is warned about.

        Raises:
            AuthorityError: TLS cannot serve them.
        """
        now = now or datetime.now(UTC)
        signature = (
            self._signature()
        )  # before they are read: what changes meanwhile is seen at the next look
        try:
            problems = unusable(self.cert_file, self.key_file)
            if problems:
                raise AuthorityError(
                    f"{' '.join(problems)} Mend the files that --cert and --key name."
                )
            chain = x509.load_pem_x509_certificates(self.cert_file.read_bytes())
            served = Served.read(self.cert_file, self.key_file)
            served = replace(
                served, warnings=tuple(self._warnings(served, chain, [*names, *addresses], now))
            )
        except (OSError, ValueError) as error:
            raise AuthorityError(
                f"The files that --cert and --key name cannot be read: {error}."
            ) from error
        for sentence in served.warnings:
            log.warning("%s", sentence)
        self._read = signature
        warn_from = self._warn_from(chain[0])
        self._look_again = warn_from if now < warn_from else now + WARN_AGAIN
        return served

    def stale(self, _served: Served, now: datetime) -> bool:
        """Whether the files have changed, or it is time to warn (again)."""
        return self._signature() != self._read or now >= self._look_again

    def _signature(self) -> Signature:
        """What changes with the files' content; follows links, which ACME clients move."""
        found = []
        for path in (self.cert_file, self.key_file):
            try:
                status = path.stat()
            except OSError:
                return ()
            found.append((status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(found)

    def _warnings(
        self,
        served: Served,
        chain: Sequence[x509.Certificate],
        hosts: Sequence[IPAddress | str],
        now: datetime,
    ) -> list[str]:
        leaf = chain[0]
        # No names are asked for here: that it lacks most of this computer's is usual, and the last
        # question is whether it has any.
        warnings = check(self.cert_file, self.key_file, None, [], now)
        end = leaf.not_valid_after_utc
        if self._warn_from(leaf) <= now <= end:
            left = end - now
            hours = int(left.total_seconds() // 3600)
            count = (
                f"{left.days} days"
                if left.days > 1
                else "an hour"
                if hours <= 1
                else f"{hours} hours"
            )
            warnings.append(
                f"The certificate {self.cert_file} ends in {count}, on "
                f"{end:%Y-%m-%d %H:%M} UTC. Renew it; the relay then takes it."
            )
        if not known_here(chain):
            issuer = chain[-1].issuer.rfc4514_string()
            warnings.append(
                "This computer does not know who vouches for the certificate "
                f"{self.cert_file} ({issuer}). Browsers accept it only where "
                "that authority is installed; of a public one, name the file that holds "
                "the whole chain (fullchain.pem)."
            )
        far = [
            name
            for name in served.names
            if name not in LOOPBACK_NAMES and not name.startswith("*.")
        ]
        wanted = [host for host in hosts if host not in LOOPBACK_NAMES]
        if not far and not any(map(served.covers, wanted)):
            warnings.append(
                f"The certificate {self.cert_file} is valid for none of "
                f"{', '.join(map(str, wanted)) or 'this computer'}. "
                "Browsers will warn; --allow-host names another host name of this computer."
            )
        if os.name == "posix" and self.key_file.stat().st_mode & 0o007:
            warnings.append(
                f"The private key {self.key_file} can be read by every user of this "
                f"computer: chmod o= {self.key_file}"
            )
        return warnings

    @staticmethod
    def _warn_from(leaf: x509.Certificate) -> datetime:
        end = leaf.not_valid_after_utc
        return end - min(WARN_BEFORE, (end - leaf.not_valid_before_utc) / WARN_SHARE)
