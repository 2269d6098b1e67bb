"""Coverage-guided fuzzing of one target, by Atheris (libFuzzer).

Needs a process of its own: at the end the engine leaves it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

# Bytes of one input.
MAX_INPUT = 8_192

# Seconds for one input, and megabytes of the process: more of either is a finding. Targets need
# milliseconds and 60 MB.
INPUT_DEADLINE = 30
MEMORY_LIMIT = 1_024


def run(
    target: Callable[[bytes], None],
    folder: Path,
    seconds: int,
    seeds: Iterable[bytes],
    words: Iterable[bytes],
) -> NoReturn:
    """Fuzz until time is up or something is found; never returns.

    Args:
        target: Raises for an input that breaks a promise. Its modules must have been imported
            instrumented.
        folder: What was found goes here as ``crash-*`` and the like; inputs that reach something
            new are kept in its ``corpus``.
        seconds: How long.
        seeds: First inputs.
        words: Bytes that mutations put in.
    """
    import atheris

    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(seed)
    dictionary = folder / "words"
    # A comment first: libFuzzer refuses an empty file.
    dictionary.write_text(
        "# words\n"
        + "".join('"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n' for word in words)
    )
    options = {
        "max_total_time": seconds,
        "max_len": MAX_INPUT,
        # Long inputs come soon: a stream has to begin before anything can happen in it.
        "len_control": 20,
        "timeout": INPUT_DEADLINE,
        "rss_limit_mb": MEMORY_LIMIT,
        "dict": dictionary,
        "artifact_prefix": f"{folder}{os.sep}",
        "print_final_stats": 1,
    }
    atheris.Setup(
        [sys.argv[0], *(f"-{name}={value}" for name, value in options.items()), str(corpus)], target
    )
    atheris.Fuzz()
    raise SystemExit(0)
