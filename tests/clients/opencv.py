"""A program that looks at a camera by OpenCV: `python -m tests.clients.opencv ADDRESS SECONDS
FEWEST` prints what it has seen, as JSON.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time

import cv2

LONGEST = 20.0
"""Seconds for which it waits for different pictures."""


def main(address: str, seconds: float, fewest: int) -> None:
    """Reads for so many seconds; for longer if the machine is so busy that fewer different pictures
    have come by then.
    """
    capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG)
    times: list[float] = []
    pictures: set[bytes] = set()
    size: tuple[int, ...] = ()
    begin = time.monotonic()
    while (elapsed := time.monotonic() - begin) < seconds or (
        len(pictures) < fewest and elapsed < LONGEST
    ):
        read, picture = capture.read()
        if not read:
            break
        size = picture.shape[1::-1]
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
        pictures.add(hashlib.sha256(picture.tobytes()).digest())
    capture.release()
    print(
        json.dumps(
            {
                "times": times,
                "different": len(pictures),
                "size": size,
                "seconds": time.monotonic() - begin,
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
