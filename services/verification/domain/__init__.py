"""Rules of verification: values in, values out; no clock, no database."""
