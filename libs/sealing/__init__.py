"""Sealing: secrets at rest under tenants' data keys, and in transit to one reader."""
