"""How Watchword is run: as local processes, with containers, and in a cluster."""
