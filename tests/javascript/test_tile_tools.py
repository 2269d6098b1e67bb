"""What a person does with tiles: the file of a saved picture, read by another program, and the
order of the wall.
"""

from __future__ import annotations

import base64
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from PIL import Image
from PIL.ExifTags import IFD

from tests import packages
from tests.javascript.node import modules, run

pytestmark = pytest.mark.skipif(packages.node() is None, reason="tests/run could not fetch Node")

DATE_TIME_ORIGINAL, OFFSET_TIME_ORIGINAL, SUB_SEC_TIME_ORIGINAL = 0x9003, 0x9011, 0x9291

# Winter and summer, far east and far west, half an hour, and the hour that comes twice when summer
# time ends.
MOMENTS = [
    ("UTC", "2026-11-29T14:03:07.004"),
    ("Asia/Kathmandu", "2026-02-28T18:20:59.999"),
    ("America/St_Johns", "2026-07-01T02:00:00.120"),
    ("Pacific/Kiritimati", "2026-12-31T10:30:00.000"),
    ("Europe/Berlin", "2026-10-25T00:30:00.000"),
    ("Europe/Berlin", "2026-10-25T01:30:00.000"),
]


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return modules(tmp_path_factory.mktemp("scripts"))


def jpeg(**options: Any) -> bytes:
    file = io.BytesIO()
    Image.radial_gradient("L").save(file, "JPEG", **options)
    return file.getvalue()


@pytest.mark.parametrize(("zone", "utc"), MOMENTS)
def test_a_saved_picture_has_its_time_where_programs_look_for_it(
    scripts: Path, zone: str, utc: str
) -> None:
    moment = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    plain = jpeg()
    told = run(
        scripts,
        """const { withTime } = await load("player/tile/exif.js"), { fileName } = await load("player/tile/still.js");
        const [jpeg, moment] = values, bytes = Uint8Array.from(Buffer.from(jpeg, "base64")).buffer;
        const file = withTime(bytes, moment);
        return [fileName("porch", moment), file.type, Buffer.from(await file.arrayBuffer()).toString("base64")];""",
        base64.b64encode(plain).decode(),
        round(moment.timestamp() * 1000),
        zone=zone,
    )
    here = moment.astimezone(ZoneInfo(zone))
    name, kind, file = told[0], told[1], base64.b64decode(told[2])
    assert (name, kind) == (f"porch_{here:%Y-%m-%d_%H-%M-%S}.jpg", "image/jpeg")
    with Image.open(io.BytesIO(file)) as picture, Image.open(io.BytesIO(plain)) as before:
        assert picture.tobytes() == before.tobytes()
        exif = picture.getexif().get_ifd(IFD.Exif)
    assert exif[DATE_TIME_ORIGINAL] == f"{here:%Y:%m:%d %H:%M:%S}"
    assert datetime.strptime(exif[OFFSET_TIME_ORIGINAL], "%z").utcoffset() == here.utcoffset()
    assert exif[SUB_SEC_TIME_ORIGINAL] == f"{here.microsecond // 1000:03}"


def test_what_is_no_jpeg_is_none_and_a_cut_one_is_read_to_its_end(scripts: Path) -> None:
    whole = jpeg()
    told = run(
        scripts,
        """const { withTime } = await load("player/tile/exif.js");
        return values.map((text) => withTime(Uint8Array.from(Buffer.from(text, "base64")).buffer, 0) !== null);""",
        *(
            base64.b64encode(data).decode()
            for data in (b"", b"\xff\xd8", b"\x89PNG\r\n\x1a\n" + bytes(20), whole[:7], whole)
        ),
    )
    assert told == [False, False, False, True, True]


# A device: what it remembers, and its pages. `steps` are [page, what, ...].
_DEVICE = """
  const stored = new Map(values[1] === null ? [] : [["drawercam-order", values[1]]]), told = [], pages = [];
  globalThis.localStorage = values[2]
    ? { getItem() { throw new Error("blocked"); }, setItem() { throw new Error("blocked"); } }
    : { getItem: (key) => (stored.has(key) ? stored.get(key) : null), setItem: (key, value) => void stored.set(key, String(value)) };
  let listeners = [];
  globalThis.addEventListener = (_type, listener) => listeners.push(listener);
  const { TileOrder } = await load("player/wall/tile-order.js");
  const open = () => pages.push(new TileOrder(() => told.push("changed")));
  for (const [page, what, ...more] of values[0]) {
    while (pages.length <= page) open();
    if (what === "sort") told.push(pages[page].sort(more[0]).join(" "));
    else if (what === "put") pages[page].put(...more);
    else listeners.forEach((listener, index) => index !== page && listener({ key: "drawercam-order" }));
  }
  return told;
"""


def device(
    scripts: Path, *steps: list[Any], stored: str | None = None, blocked: bool = False
) -> list[str]:
    told: list[str] = run(scripts, _DEVICE, steps, stored, blocked)
    return told


def test_tiles_stand_by_name_until_somebody_moves_one_and_then_as_they_were_put(
    scripts: Path,
) -> None:
    names = ["attic", "cot", "porch", "yard"]
    assert device(
        scripts,
        [0, "sort", names],
        [0, "sort", ["attic", "boat", *names[1:]]],  # a new one, among others
        [0, "put", "yard", "attic", False, names],
        [0, "sort", names],
        [0, "put", "yard", "cot", True, ["yard", "attic", "cot", "porch"]],
        [0, "sort", names],
        [1, "sort", names],
    ) == [
        "attic cot porch yard",
        "attic boat cot porch yard",
        "yard attic cot porch",
        "attic cot yard porch",
        "attic cot yard porch",
    ]


def test_new_ones_go_last_in_the_order_of_their_coming_and_gone_ones_keep_their_place(
    scripts: Path,
) -> None:
    names = ["attic", "cot", "porch"]
    assert device(
        scripts,
        [0, "put", "attic", "porch", True, names],  # cot porch attic
        [0, "sort", [*names, "zoo"]],
        [0, "sort", ["alcove", *names, "zoo"]],
        [0, "sort", ["alcove", "attic", "cot", "zoo"]],  # the porch is put away
        [0, "put", "zoo", "cot", False, ["cot", "attic", "zoo", "alcove"]],
        [0, "sort", ["alcove", *names, "zoo"]],
    ) == [
        "cot porch attic zoo",
        "cot porch attic zoo alcove",
        "cot attic zoo alcove",
        "zoo cot porch attic alcove",
    ]


def test_other_pages_of_the_device_follow(scripts: Path) -> None:
    names = ["attic", "cot"]
    steps = [
        [1, "sort", names],
        [0, "put", "cot", "attic", False, names],
        [0, "stored"],
        [1, "sort", names],
    ]
    assert device(scripts, *steps) == ["attic cot", "changed", "cot attic"]


@pytest.mark.parametrize(
    "stored", ["nonsense", "null", "7", '{"attic": 1}', '[1, null, ["cot"]]', ""]
)
def test_what_no_page_of_ours_wrote_is_no_order(scripts: Path, stored: str) -> None:
    assert device(scripts, [0, "sort", ["attic", "cot"]], stored=stored) == ["attic cot"]


def test_a_browser_that_blocks_storage_keeps_the_order_while_the_page_is_open(
    scripts: Path,
) -> None:
    names = ["attic", "cot"]
    assert device(
        scripts,
        [0, "put", "cot", "attic", False, names],
        [0, "sort", names],
        [1, "sort", names],
        blocked=True,
    ) == [
        "cot attic",
        "attic cot",
    ]


def test_a_place_beside_what_is_not_there_is_none(scripts: Path) -> None:
    names = ["attic", "cot"]
    steps = [[0, "put", "cot", other, False, names] for other in ("porch", "cot")]
    assert device(
        scripts, *steps, [0, "put", "porch", "attic", False, names], [0, "sort", names]
    ) == ["attic cot"]


def test_the_list_does_not_grow_for_ever(scripts: Path) -> None:
    crowd = [f"camera-{number}" for number in range(1000)]
    [told] = device(
        scripts, [0, "put", "camera-1", "camera-0", False, crowd[:2]], [0, "sort", crowd]
    )
    assert told.split()[:3] == ["camera-1", "camera-0", "camera-2"]
    assert sorted(told.split()) == sorted(crowd)
