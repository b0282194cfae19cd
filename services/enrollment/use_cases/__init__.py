"""What enrollment does, one file a thing."""
