"""Keys, and what they allow. No sockets: headers in, a decision out."""
