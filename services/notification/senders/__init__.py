"""The ways a message goes: what it says, and how it is handed over."""
