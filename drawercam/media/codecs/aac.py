"""What the relay reads of AAC: its AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1)."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from drawercam.media.bits import Bits
from drawercam.media.packets import MediaError

# ISO/IEC 14496-3 table 1.18, in Hz by samplingFrequencyIndex; 13 and 14 are reserved, 15 announces
# 24 explicit bits.
_SAMPLE_RATES = (
    96000,
    88200,
    64000,
    48000,
    44100,
    32000,
    24000,
    22050,
    16000,
    12000,
    11025,
    8000,
    7350,
)
_EXPLICIT_RATE = 15

# ISO/IEC 14496-3 table 1.19: channels by channelConfiguration; 0 announces a
# program_config_element.
_CHANNELS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8, 11: 7, 12: 8, 13: 24, 14: 8}

# Bytes of a configuration. Real ones have 2 to 40, and one that is longer would not fit the
# descriptors of an MP4's esds.
MAX_CONFIG = 100

# Audio object types, table 1.17. Those of general audio coding have a GASpecificConfig, and with it
# maybe a program_config_element.
_ESCAPE = 31
_SBR = 5
_PARAMETRIC_STEREO = 29
_GENERAL_AUDIO = frozenset((1, 2, 3, 4, 6, 7, 17, 19, 20, 21, 22, 23))


# Object types with other frames than 1024 samples: low delay (4.6.17.2), enhanced low delay
# (4.6.20), and unified speech and audio coding, whose configuration has a rate of its own (ISO/IEC
# 23003-3 table 70).
_LOW_DELAY, _ENHANCED_LOW_DELAY, _UNIFIED = 23, 39, 42
_UNIFIED_FRAMES = (768, 1024, 2048, 2048, 4096)
_UNIFIED_RATES = (
    *_SAMPLE_RATES,
    *(0,) * 2,
    57600,
    51200,
    40000,
    38400,
    34150,
    28800,
    25600,
    20000,
    19200,
    17075,
    14400,
    12800,
    9600,
)
_EXPLICIT_UNIFIED_RATE = 31


def _bits(config: bytes) -> Bits:
    if len(config) > MAX_CONFIG:
        raise MediaError(f"an AAC configuration is longer than {MAX_CONFIG} bytes")
    return Bits(config, "an AAC configuration")


def _object_type(bits: Bits) -> int:
    kind = bits(5)
    return 32 + bits(6) if kind == _ESCAPE else kind


def _sample_rate(bits: Bits) -> int:
    index = bits(4)
    rate = (
        bits(24)
        if index == _EXPLICIT_RATE
        else _SAMPLE_RATES[index]
        if index < len(_SAMPLE_RATES)
        else 0
    )
    if not rate:
        raise MediaError("an AAC configuration has a reserved sample rate")
    return rate


def _program_channels(bits: Bits) -> int:
    """Channels of a program_config_element, 4.5.1.2, which follows three flags of GASpecificConfig,
    4.4.1.
    """
    bits(1)  # frameLengthFlag
    if bits(1):  # dependsOnCoreCoder
        bits(14)
    bits(1)  # extensionFlag
    bits(10)  # element_instance_tag, object_type, sampling_frequency_index
    elements = bits(4) + bits(4) + bits(4)  # front, side, back
    low_frequency = bits(2)
    bits(7)  # num_assoc_data_elements, num_valid_cc_elements
    for mixdown in (4, 4, 3):  # mono, stereo, matrix
        if bits(1):
            bits(mixdown)
    channels = low_frequency
    for _ in range(elements):
        channels += 1 + bits(1)  # element_is_cpe: a pair
        bits(4)
    return channels


class _Head(NamedTuple):
    """What all configurations begin with: the object type that is signalled and the one of its
    core, the core's sample rate and the one that is put out, in Hz, and the channelConfiguration.
    """

    signalled: int
    kind: int
    core_rate: int
    rate: int
    configuration: int


def _head(bits: Bits) -> _Head:
    kind = signalled = _object_type(bits)
    core_rate = rate = _sample_rate(bits)
    configuration = bits(4)
    if signalled in (_SBR, _PARAMETRIC_STEREO):
        rate = _sample_rate(bits)
        kind = _object_type(bits)
    return _Head(signalled, kind, core_rate, rate, configuration)


def parse_config(config: bytes) -> tuple[int, int, int]:
    """Read an AudioSpecificConfig.

    Returns:
        Audio object type, sample rate in Hz and number of channels, as a decoder puts them out:
        with explicitly signalled SBR or parametric stereo those of the extension.

    Raises:
        MediaError: It is cut off, uses reserved values, or has more than MAX_CONFIG bytes.
    """
    bits = _bits(config)
    head = _head(bits)
    channels = _CHANNELS.get(head.configuration, 0)
    if head.configuration == 0 and head.kind in _GENERAL_AUDIO:
        channels = _program_channels(bits)
    if not head.signalled or not head.kind or not channels:
        raise MediaError("an AAC configuration names no object type or no channels")
    if head.signalled == _PARAMETRIC_STEREO:
        channels = max(channels, 2)
    return head.signalled, head.rate, channels


@lru_cache(maxsize=64)
def frame_duration(config: bytes) -> int:
    """How long a frame lasts, in nanoseconds; 0 if the configuration is broken.

    It is counted in samples of the core (4.5.2.1.1). SBR, explicit or implicit, may put out twice
    as many in the same time.
    """
    try:
        bits = _bits(config)
        head = _head(bits)
        rate, samples = head.core_rate, 1024
        if head.kind == _UNIFIED:
            index = bits(5)
            rate = (
                bits(24)
                if index == _EXPLICIT_UNIFIED_RATE
                else _UNIFIED_RATES[index]
                if index < len(_UNIFIED_RATES)
                else 0
            )
            frame = bits(3)
            samples = _UNIFIED_FRAMES[frame] if frame < len(_UNIFIED_FRAMES) else 0
        elif head.kind in _GENERAL_AUDIO or head.kind == _ENHANCED_LOW_DELAY:
            low_delay = head.kind in (_LOW_DELAY, _ENHANCED_LOW_DELAY)
            short = bits(1)  # frameLengthFlag
            samples = (480 if short else 512) if low_delay else 960 if short else 1024
    except MediaError:
        return 0
    return (samples * 10**9 + rate // 2) // rate if rate else 0


def codec_string(config: bytes) -> str:
    """The ``codecs`` parameter (RFC 6381 section 3.3) of an AudioSpecificConfig, such as
    ``mp4a.40.2``.

    Raises:
        MediaError: The configuration is broken.
    """
    return f"mp4a.40.{parse_config(config)[0]}"
