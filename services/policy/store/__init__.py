"""All SQL of policy; every function takes a connection inside a tenant's wall."""
