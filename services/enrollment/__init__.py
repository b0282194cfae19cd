"""Enrollment: authenticators, how they come and how they go."""
