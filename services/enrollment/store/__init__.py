"""All SQL of enrollment; connections are inside a tenant's wall, but for the worker's."""
