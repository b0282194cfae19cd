"""PostgreSQL: pools, transactions inside one tenant's wall, migrations."""
