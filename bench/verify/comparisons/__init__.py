"""Two ways of running verification, or two states that it is in, measured in turns."""
