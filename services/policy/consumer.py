"""Policy reacts to no event, but to the calendar (workers.py)."""
