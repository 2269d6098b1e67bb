"""From pictures and samples to the messages of a stream."""
