"""The way to the relay: address, key, socket, clock, and how much the network takes."""
