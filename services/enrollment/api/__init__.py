"""The HTTP doors of enrollment: parse, call a use case, render."""
