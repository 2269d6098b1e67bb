"""The heart: one channel for each camera, its viewers, and what holds them all.

No sockets, no asyncio.
"""
