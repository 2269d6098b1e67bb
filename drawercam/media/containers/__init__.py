"""WebM and MP4: bytes to packets, packets to bytes."""
