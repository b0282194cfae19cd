"""Rules of enrollment: values in, values out; no clock, no database."""
