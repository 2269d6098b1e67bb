"""Who may come in by which route."""
