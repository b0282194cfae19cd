"""Decides what an application should ask, judges the answer, announces the outcome."""
