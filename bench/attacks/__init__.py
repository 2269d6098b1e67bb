"""Hostile peers of a relay, each at the rate at which it once succeeded.

They attack what `bench.siege` has started, on loopback.
"""
