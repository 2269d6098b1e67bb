"""Pages, and the modules below `web/`: files that lie beside the program."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web
from aiohttp.typedefs import Handler

from groundwork.denied import SENTENCES, Denied

# Seconds between two looks into the folder of modules for one that is missing: files are replaced
# while the relay runs.
LOOK_INTERVAL = 1.0

# Hexadecimal digits of a file's contents by which a browser knows whether it has them.
_TAG = 32

# What a browser is told of a file. The system's own table may know other types, and a module of
# another type does not run.
_TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}


# Where a page has its version: in the file it is empty.
_UNVERSIONED, _VERSIONED = b'<meta name="version" content="">', '<meta name="version" content="{}">'

# Hexadecimal digits of the version: enough for files that nobody chooses in order to mislead.
_VERSION = 16


def version_of(root: Path) -> str:
    """What tells the pages of this relay from those of another version: a hash of the names and
    contents of all their files.

    Args:
        root: The folder with the pages and ``web/``.
    """
    digest = hashlib.sha256()
    files = [*root.glob("*.html"), *(root / "web").rglob("*")]
    for name, path in sorted(
        (path.relative_to(root).as_posix(), path) for path in files if path.suffix in _TYPES
    ):
        for part in (name.encode(), path.read_bytes()):
            digest.update(len(part).to_bytes(8) + part)
    return digest.hexdigest()[:_VERSION]


def page_handler(path: Path, version: str = "") -> Handler:
    """The handler of a page, which is told its version, because a browser may keep it for
    months.
    """
    told = _VERSIONED.format(version).encode()

    async def page(request: web.Request) -> web.StreamResponse:
        file = await _read(path)
        body = file.body.replace(_UNVERSIONED, told, 1)
        tag = file.tag if body == file.body else hashlib.sha256(body).hexdigest()[:_TAG]
        return _answer(request, path, body, tag)

    return page


@dataclass(frozen=True, slots=True)
class _Kept:
    """A file as it was read.

    Attributes:
        state: By which a file that was replaced is known.
        tag: For a browser that has it.
    """

    state: tuple[int, int, int]
    body: bytes
    tag: str


# The files that were asked for: those of the pages, a megabyte in all.
_kept: dict[Path, _Kept] = {}


async def _read(path: Path) -> _Kept:
    """A file as it is now. It is read once, so connections that do not take it hold the same bytes.

    Raises:
        Denied: 404, it has gone since the folder was read.
    """
    try:
        state, kept = _state(path), _kept.get(path)
        if kept is None or kept.state != state:
            body = await asyncio.to_thread(path.read_bytes)
            kept = _kept[path] = _Kept(state, body, hashlib.sha256(body).hexdigest()[:_TAG])
    except FileNotFoundError:
        raise Denied(404, "unknown-path", SENTENCES[404]) from None
    return kept


def _state(path: Path) -> tuple[int, int, int]:
    """It takes microseconds, because these files lie beside the program."""
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino


async def _file(request: web.Request, path: Path) -> web.Response:
    """A file; a browser that has it is told so (RFC 9110 section 13.1.2)."""
    file = await _read(path)
    return _answer(request, path, file.body, file.tag)


def _answer(request: web.Request, path: Path, body: bytes, tag: str) -> web.Response:
    if any(one.value in (tag, "*") for one in request.if_none_match or ()):
        response = web.Response(status=304)
    else:
        response = web.Response(
            body=body,
            content_type=_TYPES.get(path.suffix, "application/octet-stream"),
            charset="utf-8",
        )
    response.etag = tag
    return response


class Modules:
    """What lies in ``web/``.

    A request chooses among the files that are there; it never becomes a path.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._files = self._look()
        self._looked = clock()
        self._looking: asyncio.Task[dict[str, Path]] | None = None

    async def get(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["file"]
        if name not in self._files:
            await self._look_again()
        if name not in self._files:
            raise Denied(404, "unknown-path", SENTENCES[404])
        return await _file(request, self._files[name])

    def _look(self) -> dict[str, Path]:
        return {
            path.relative_to(self._folder).as_posix(): path
            for path in self._folder.rglob("*")
            if path.is_file()
        }

    async def _look_again(self) -> None:
        """See what is there now, once for all that is missed meanwhile, and not more often than
        every LOOK_INTERVAL.
        """
        if self._looking is None:
            if self._clock() - self._looked < LOOK_INTERVAL:
                return
            self._looking = asyncio.create_task(asyncio.to_thread(self._look))
        looking = self._looking
        try:
            self._files = await asyncio.shield(looking)
        finally:
            if looking.done() and self._looking is looking:
                self._looked, self._looking = self._clock(), None
