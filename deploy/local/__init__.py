"""The real servers that Watchword needs, as local processes out of Python packages."""
