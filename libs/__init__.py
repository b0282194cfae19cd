"""Plumbing without one MFA word; a file that needs the word "factor" belongs to a service."""
