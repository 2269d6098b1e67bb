"""What the relay reads of AAC: its AudioSpecificConfig (ISO/IEC 14496-3 1.6.2.1)."""

from __future__ import annotations

from .packets import MediaError

# ISO/IEC 14496-3 table 1.18, in Hz by samplingFrequencyIndex; 13 and 14 are reserved, 15 announces 24 explicit bits.
_SAMPLE_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_EXPLICIT_RATE = 15

# ISO/IEC 14496-3 table 1.19: channels by channelConfiguration; 0 announces a program_config_element.
_CHANNELS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8, 11: 7, 12: 8, 13: 24, 14: 8}

# Bytes of a configuration. Real ones have 2 to 40, and one that is longer would not fit the descriptors of an MP4's esds.
MAX_CONFIG = 100

# Audio object types, table 1.17. Those of general audio coding have a GASpecificConfig, and with it maybe a program_config_element.
_ESCAPE = 31
_SBR = 5
_PARAMETRIC_STEREO = 29
_GENERAL_AUDIO = frozenset((1, 2, 3, 4, 6, 7, 17, 19, 20, 21, 22, 23))


def parse_config(config: bytes) -> tuple[int, int, int]:
    """Read an AudioSpecificConfig.

    Returns:
        Audio object type, sample rate in Hz and number of channels, as a decoder puts them out: with explicitly signalled SBR or
        parametric stereo those of the extension.

    Raises:
        MediaError: It is cut off, uses reserved values, or has more than MAX_CONFIG bytes.
    """
    if len(config) > MAX_CONFIG:
        raise MediaError(f"an AAC configuration is longer than {MAX_CONFIG} bytes")
    total = len(config) * 8
    whole = int.from_bytes(config, "big")
    position = 0

    def bits(count: int) -> int:
        nonlocal position
        position += count
        if position > total:
            raise MediaError("an AAC configuration is cut off")
        return (whole >> (total - position)) & ((1 << count) - 1)

    def object_type() -> int:
        kind = bits(5)
        return 32 + bits(6) if kind == _ESCAPE else kind

    def sample_rate() -> int:
        index = bits(4)
        rate = bits(24) if index == _EXPLICIT_RATE else _SAMPLE_RATES[index] if index < len(_SAMPLE_RATES) else 0
        if not rate:
            raise MediaError("an AAC configuration has a reserved sample rate")
        return rate

    def program_channels() -> int:
        """Channels of a program_config_element, 4.5.1.2, which follows three flags of GASpecificConfig, 4.4.1."""
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

    kind = signalled = object_type()
    rate = sample_rate()
    configuration = bits(4)
    if signalled in (_SBR, _PARAMETRIC_STEREO):
        rate = sample_rate()
        kind = object_type()
    channels = _CHANNELS.get(configuration, 0)
    if configuration == 0 and kind in _GENERAL_AUDIO:
        channels = program_channels()
    if not signalled or not kind or not channels:
        raise MediaError("an AAC configuration names no object type or no channels")
    if signalled == _PARAMETRIC_STEREO:
        channels = max(channels, 2)
    return signalled, rate, channels


def codec_string(config: bytes) -> str:
    """The ``codecs`` parameter (RFC 6381 section 3.3) of an AudioSpecificConfig, such as ``mp4a.40.2``.

    Raises:
        MediaError: The configuration is broken.
    """
    return f"mp4a.40.{parse_config(config)[0]}"
