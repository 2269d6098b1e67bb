"""Parts of benches that several of them, or one with many rows, are made of."""
