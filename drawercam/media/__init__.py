"""Bytes to packets and back. No sockets, no clocks, no asyncio."""
