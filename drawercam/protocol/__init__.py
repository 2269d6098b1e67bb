"""The words of the wire: messages both ways, and why a socket is closed (docs/protocol.md)."""
