"""A program that looks at a camera by OpenCV: `python -m tests.clients.opencv ADDRESS SECONDS` prints what it has seen, as JSON."""

from __future__ import annotations

import hashlib
import json
import sys
import time

import cv2


def main(address: str, seconds: float) -> None:
    """Reads for so many seconds."""
    capture = cv2.VideoCapture(address, cv2.CAP_FFMPEG)
    times: list[float] = []
    pictures: set[bytes] = set()
    size: tuple[int, ...] = ()
    begin = time.monotonic()
    while time.monotonic() - begin < seconds:
        read, picture = capture.read()
        if not read:
            break
        size = picture.shape[1::-1]
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
        pictures.add(hashlib.sha256(picture.tobytes()).digest())
    capture.release()
    print(json.dumps({"times": times, "different": len(pictures), "size": size, "seconds": time.monotonic() - begin}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]))
