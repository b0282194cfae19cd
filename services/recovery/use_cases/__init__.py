"""What recovery does, one file a thing."""
