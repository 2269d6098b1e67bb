"""The I/O shell: one port, TLS, WebSockets, HTTP."""
