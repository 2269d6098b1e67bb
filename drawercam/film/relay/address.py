"""Where the relay is, and what lets a camera in there: from an option, a printed link, or this
computer's own state folder.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from drawercam.access.keys import Keyring
from groundwork import running_relay

_SCHEMES = {"https": "https", "wss": "https", "http": "http", "ws": "http"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a relay is.

    Attributes:
        origin: Such as ``https://192.168.1.2:8443``.
        key: The key that stood in the link; empty if none did. Never in a log, nor in ``origin``.
        name: The camera's name that stood in the link; empty if none did.
    """

    origin: str
    key: str = ""
    name: str = ""

    @property
    def tls(self) -> bool:
        return self.origin.startswith("https:")

    @property
    def socket(self) -> str:
        """The origin of its sockets."""
        return "ws" + self.origin.removeprefix("http")

    @property
    def host(self) -> str:
        return urlsplit(self.origin).hostname or ""

    @property
    def here(self) -> bool:
        """Whether it is on this computer."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``wss://host:8443``, ``https://host:8443/camera.html#key=...`` or ``host:8443``.

        Raises:
            ValueError: It is none of these; the text is a sentence without the key.
        """
        wrong = (
            "this is no relay's address: give the link for filming that the relay prints, or "
            "such as wss://192.168.1.2:8443"
        )
        try:
            parts = urlsplit(text if "://" in text else f"https://{text}")
            host, port = parts.hostname, parts.port
            (host or "").encode("idna")  # a label that is empty or too long can be asked of nobody
        except ValueError:
            raise ValueError(wrong) from None
        scheme = _SCHEMES.get(parts.scheme)
        if (
            scheme is None
            or not host
            or parts.username
            or any(character.isspace() for character in text)
        ):
            raise ValueError(wrong)
        fragment, query = parse_qs(parts.fragment), parse_qs(parts.query)
        shown = f"[{host}]" if ":" in host else host
        origin = f"{scheme}://{shown}" + (f":{port}" if port is not None else "")
        return cls(origin, fragment.get("key", [""])[0], query.get("name", [""])[0])


def own(state: Path, tls_port: int, plain_port: int) -> Address:
    """The relay of this computer: the one that runs with this state folder, else where one is by
    default.

    That is with https if the folder has an authority, or is another user's: only with https there
    is one.
    """
    if (here := _running(state)) is not None:
        return Address(here.origin)
    try:
        tls = _authority(state).is_file()
    except PermissionError:
        tls = True
    return (
        Address(f"https://localhost:{tls_port}")
        if tls
        else Address(f"http://127.0.0.1:{plain_port}")
    )


def is_known(state: Path) -> bool:
    """Whether a relay is seen to run with this state folder, so that `own` need not guess."""
    return _running(state) is not None


def is_keyed(state: Path) -> bool:
    """Whether that one asks for keys, as one without https does behind a proxy."""
    here = _running(state)
    return here is not None and here.keys


def own_key(state: Path) -> str:
    """The key of the printed link for filming, if this user may read the state folder; else
    nothing.
    """
    ring = Keyring(state)
    try:
        if not (state / "keys.json").is_file():
            return ""
        ring.refresh()
    except OSError:
        return ""
    film, _ = ring.for_links()
    return film.secret if film else ""


def trust(state: Path, ca: Path | None, insecure: bool) -> ssl.SSLContext:
    """Whom to believe: what the system trusts, this computer's own authority, and one that was
    given.

    Args:
        ca: Another authority's certificate (PEM).
        insecure: Believe everybody.

    Raises:
        OSError: A file cannot be read, or is no certificate (`ssl.SSLError`).
    """
    context = ssl.create_default_context()
    for file in (_authority(state), ca):
        if file is not None and (file is ca or _readable(file)):
            context.load_verify_locations(cafile=str(file))
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def own_trust(state: Path, ca: Path | None, insecure: bool) -> ssl.SSLContext:
    """Whom to believe before this state folder's own key is shown: its authority, and no other that
    this computer happens to trust.

    Another program may listen where the relay usually does. Only for a relay with a certificate of
    somebody else's (`--cert`), and where the authority cannot be read, it is as `trust` has it.

    Raises:
        OSError: As for `trust`.
    """
    authority, here = _authority(state), _running(state)
    if (here is not None and not here.authority) or not _readable(authority):
        return trust(state, ca, insecure)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for file in filter(None, (authority, ca)):
        context.load_verify_locations(cafile=str(file))
    return context


def _running(state: Path) -> running_relay.Running | None:
    """The relay that runs with this state folder; of several, the one with https."""
    found = running_relay.relays(state)
    return next((one for one in found if one.scheme == "https"), next(iter(found), None))


def _authority(state: Path) -> Path:
    return state / "certs" / "ca.crt"


def _readable(file: Path) -> bool:
    try:
        with file.open("rb"):
            return True
    except OSError:
        return False
