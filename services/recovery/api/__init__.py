"""The HTTP doors of recovery: parse, call a use case, render."""
