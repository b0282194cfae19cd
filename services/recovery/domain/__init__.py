"""Rules of recovery: values in, values out; no clock, no database."""
