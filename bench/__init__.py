"""What we claim about speed, measured side by side in real browsers."""
