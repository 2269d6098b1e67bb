"""What stands in Matroska (RFC 9559): elements, and words for codecs, tracks and colours."""

from __future__ import annotations

from drawercam.media.packets import Codec, Kind


class Id:
    """Element IDs, RFC 9559 section 5.1 and RFC 8794 section 11.2."""

    EBML = 0x1A45DFA3
    DOC_TYPE = 0x4282
    SEGMENT = 0x18538067
    INFO = 0x1549A966
    TIMESTAMP_SCALE = 0x2AD7B1
    DATE_UTC = 0x4461
    MUXING_APP = 0x4D80
    WRITING_APP = 0x5741
    TRACKS = 0x1654AE6B
    TRACK_ENTRY = 0xAE
    TRACK_NUMBER = 0xD7
    TRACK_UID = 0x73C5
    TRACK_TYPE = 0x83
    FLAG_LACING = 0x9C
    CODEC_ID = 0x86
    CODEC_PRIVATE = 0x63A2
    CODEC_DELAY = 0x56AA
    SEEK_PRE_ROLL = 0x56BB
    DEFAULT_DURATION = 0x23E383
    CONTENT_ENCODINGS = 0x6D80
    VIDEO = 0xE0
    PIXEL_WIDTH = 0xB0
    PIXEL_HEIGHT = 0xBA
    PIXEL_CROP_BOTTOM = 0x54AA
    PIXEL_CROP_TOP = 0x54BB
    PIXEL_CROP_LEFT = 0x54CC
    PIXEL_CROP_RIGHT = 0x54DD
    DISPLAY_WIDTH = 0x54B0
    DISPLAY_HEIGHT = 0x54BA
    DISPLAY_UNIT = 0x54B2
    PROJECTION = 0x7670
    PROJECTION_TYPE = 0x7671
    PROJECTION_POSE_YAW = 0x7673
    PROJECTION_POSE_PITCH = 0x7674
    PROJECTION_POSE_ROLL = 0x7675
    COLOUR = 0x55B0
    MATRIX_COEFFICIENTS = 0x55B1
    RANGE = 0x55B9
    TRANSFER_CHARACTERISTICS = 0x55BA
    PRIMARIES = 0x55BB
    AUDIO = 0xE1
    SAMPLING_FREQUENCY = 0xB5
    CHANNELS = 0x9F
    CLUSTER = 0x1F43B675
    TIMESTAMP = 0xE7
    SIMPLE_BLOCK = 0xA3
    BLOCK_GROUP = 0xA0
    BLOCK = 0xA1
    BLOCK_DURATION = 0x9B
    REFERENCE_BLOCK = 0xFB
    PREV_SIZE = 0xAB
    POSITION = 0xA7
    SEEK_HEAD = 0x114D9B74
    CUES = 0x1C53BB6B
    TAGS = 0x1254C367
    CHAPTERS = 0x1043A770
    ATTACHMENTS = 0x1941A469
    VOID = 0xEC
    CRC_32 = 0xBF


# Codec IDs of RFC 9559's companion, draft-ietf-cellar-codec.
CODECS = {
    "V_VP8": Codec.VP8,
    "V_VP9": Codec.VP9,
    "V_AV1": Codec.AV1,
    "V_MPEG4/ISO/AVC": Codec.H264,
    "A_OPUS": Codec.OPUS,
    "A_AAC": Codec.AAC,
}
CODEC_IDS = {codec: identifier for identifier, codec in CODECS.items()}

# RFC 9559 section 5.1.4.1.3.
TRACK_TYPES = {Kind.VIDEO: 1, Kind.AUDIO: 2}
KINDS = {number: kind for kind, number in TRACK_TYPES.items()}

# What is read of a Colour element; the first three are code points of H.273.
COLOURS = (Id.PRIMARIES, Id.TRANSFER_CHARACTERISTICS, Id.MATRIX_COEFFICIENTS, Id.RANGE)

# RFC 9559 section 5.1.4.1.28.25: 1 is "broadcast range"; of the others one is unspecified, and one
# leaves it to transfer and matrix.
RANGES = {1: False, 2: True}
RANGE_CODES = {value: code for code, value in RANGES.items()}

# RFC 9559 section 5.1.2.10 with the default TimestampScale: one tick is a millisecond.
DEFAULT_SCALE = 1_000_000
