"""The HTTP doors of verification: parse, call a use case, render."""
