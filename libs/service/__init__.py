"""What every service process has: settings, connections, listeners, roles."""
