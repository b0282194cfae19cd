"""What verification does, one file a thing."""
