"""What can be filmed: devices, files, cameras of the network, a test picture.

Each runs in a thread of its own.
"""
