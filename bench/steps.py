"""Where the milliseconds of a picture go, from what `pages/steps.js` has seen in both pages (`--steps`)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from typing import Any

from .samples import percentile
from .table import aligned, number

SAME_TIMESTAMP = 1500.0
"""Microseconds by which a timestamp may be rounded on its way through the container and a `<video>`."""

SAME_PICTURE = 6.0
"""Milliseconds: blobs that come closer together belong to one picture, which a recorder writes in two or three pieces."""

WRAP = 2**24 / 10
"""Milliseconds after which the painted clock begins again (`pages/clock.js`)."""

ENCODED = "painted -> first blob: capture, encoder, muxer"
FLUSHED = "first -> last blob of the picture"
CARRIED = "last blob -> message: sending, relay, receiving"
DECODED = "message -> decoded"
PRESENTED = "message -> shown by <video>: buffer, decoder"
SEEN = "-> seen on the screen"


def steps_table(camera: Mapping[str, Any], viewer: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """One line for each step, with percentiles in ms.

    Args:
        camera, viewer: Reports of `pages/steps.js` of the two pages.
        report: The viewer's report of `pages/viewer.js`.
    """
    last = PRESENTED if viewer["presented"] else DECODED
    found: dict[str, list[float]] = {ENCODED: [], FLUSHED: [], CARRIED: [], last: [], SEEN: []}
    blobs = [moment for moment, _ in camera["blobs"]]
    messages = sorted((timestamp, moment) for moment, timestamp, _, _ in viewer["messages"])
    seen = {painted: report["origin"] + at for at, _, painted in report["samples"]}
    for moment, timestamp, painted, *_ in viewer["presented"] or viewer["decoded"]:
        index = bisect_right(messages, (timestamp + SAME_TIMESTAMP, float("inf"))) - 1
        if painted not in seen or index < 0 or abs(messages[index][0] - timestamp) > SAME_TIMESTAMP:
            continue
        arrived = messages[index][1]
        end = begin = bisect_right(blobs, arrived) - 1
        while begin > 0 and blobs[begin] - blobs[begin - 1] < SAME_PICTURE:
            begin -= 1
        found[ENCODED].append((blobs[begin] - painted) % WRAP)
        found[FLUSHED].append(blobs[end] - blobs[begin])
        found[CARRIED].append(arrived - blobs[end])
        found[last].append(moment - arrived)
        found[SEEN].append(seen[painted] - moment)
    lines = []
    for name, values in found.items():
        shares = [number(percentile(values, share), 1) if values else "-" for share in (0.1, 0.5, 0.9, 0.99)]
        lines.append([name, str(len(values)), *shares])
    return aligned(["step (ms)", "pictures", "p10", "p50", "p90", "p99"], lines)
