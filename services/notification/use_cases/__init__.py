"""What notification does, one file a thing."""
