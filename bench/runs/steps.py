"""Where the milliseconds of a picture go (`--steps`): what the tile tells, beside what the pages
and the pixels show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.gauges.samples import percentile
from bench.report.table import aligned, number

PARTS = ("encode", "uplink", "relay", "downlink", "decode", "screen")
"""What `tile.stats().parts` tells, in the order of the way."""


def steps_table(
    camera: Mapping[str, Any], viewer: Mapping[str, Any], report: Mapping[str, Any]
) -> str:
    """One line for each step, with percentiles in ms.

    The parts are what the tile said during the turn; their sum and the tile's delay can be compared
    with the pixels', which nobody told it.

    Args:
        camera, viewer: What `pages/steps.js` has noted in the two pages.
        report: The viewer's report of `pages/viewer.js`.
    """
    facts: Sequence[Mapping[str, Any]] = report["facts"]
    told = [fact["parts"] for fact in facts if fact.get("parts")]
    parts = {name: [part[name] for part in told if part.get(name) is not None] for name in PARTS}
    delays = [fact["delay"] for fact in facts if fact.get("delay") is not None]
    pixels = [delay for _, delay, *_ in report["samples"]]
    seen = {painted: report["origin"] + at for at, _, painted, _ in report["samples"]}
    presented = [
        seen[painted] - moment for moment, painted in viewer["presented"] if painted in seen
    ]
    rows = {f"tile: {name}": values for name, values in parts.items()}
    rows |= {"tile: its delay": delays, "pixels: painted -> seen": pixels}
    if camera["encoder"]:
        rows[f"camera page: painted -> bytes of its {camera['encoder']}"] = camera["encoded"]
    if viewer["presented"]:
        rows["viewer page: shown by <video> -> seen"] = presented
    lines = []
    for name, values in rows.items():
        shares = [
            number(percentile(values, share), 1) if values else "-"
            for share in (0.1, 0.5, 0.9, 0.99)
        ]
        lines.append([name, str(len(values)), *shares])
    missing = [name for name in PARTS if not parts[name]]
    if missing:
        remark = f"the tile does not tell {', '.join(missing)}"
    else:
        remark = (
            "the parts' medians are "
            f"{sum(percentile(values, 0.5) for values in parts.values()):.1f} ms together"
        )
        if pixels:
            remark += f", the pixels' median is {percentile(pixels, 0.5):.1f} ms"
    return f"{aligned(['step (ms)', 'samples', 'p10', 'p50', 'p90', 'p99'], lines)}\n{remark}"
