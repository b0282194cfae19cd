"""Tells people by e-mail what happened to their account, each thing once or not at all."""
