"""What the relay reads of each codec's frames."""
