"""The public and the internal routes: parse, call a use case, render."""
