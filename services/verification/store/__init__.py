"""All SQL of verification but settle's; every connection given here is inside a tenant's wall."""
