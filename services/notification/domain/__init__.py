"""Rules of notification: values in, values out; no clock, no database."""
