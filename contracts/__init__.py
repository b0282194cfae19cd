"""The published language: what services say to one another, and nothing of how they do it."""
