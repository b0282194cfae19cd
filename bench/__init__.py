"""Measurements of the running system; never part of the tests."""
