"""What can be done: load under a lock, decide, save and announce in one transaction."""
