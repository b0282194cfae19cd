"""All SQL of recovery; every connection given here is inside a tenant's wall."""
