"""WebSockets: frames, what is on its way, and the sessions behind them."""
