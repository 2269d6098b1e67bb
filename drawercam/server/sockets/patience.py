"""How late a frame may reach a viewer to be worth sending."""

from __future__ import annotations

from drawercam.live.channel import Channel

# Seconds for which pictures may wait for a viewer's network before they are left out up to a fresh
# keyframe, where the camera can make one. Wi-Fi that falters for a moment costs no picture, and a
# network that is too slow shows what is instead of what was.
MAX_WAIT = 0.3

# The same for pictures whose next keyframe may be many seconds away, and for sound: it is small,
# but too late it is of no use either.
MAX_PATIENCE = 1.0

# Seconds of waiting below which a viewer that was left out may go on: with more, its keyframe would
# be an old one when it arrives.
SETTLED = 0.1


def patience(channel: Channel, video: bool, needs_key: bool, bursting: bool) -> float | None:
    """For how many seconds a frame may wait on its way to a viewer; None for as long as it takes.

    Args:
        channel: The camera.
        video: It is a picture.
        needs_key: The viewer was left out, and waits for a keyframe.
        bursting: It has not received the whole past yet.
    """
    if video and channel.keyframes:
        return SETTLED if needs_key else MAX_WAIT
    if channel.keyframes or not bursting:
        return MAX_PATIENCE
    return None  # where no keyframe is in sight, the whole past is sent, and takes its time
