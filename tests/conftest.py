pytest_plugins = [
    "tests.fixtures.servers",
    "tests.fixtures.services",
    "tests.fixtures.traceability",
]
