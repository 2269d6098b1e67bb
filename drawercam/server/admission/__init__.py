"""Every way in, and the right that it takes."""
