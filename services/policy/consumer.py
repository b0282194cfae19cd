"""Policy reacts to no event: it publishes the state that others act upon."""
