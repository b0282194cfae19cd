pytest_plugins = [
    "tests.fixtures.browser",
    "tests.fixtures.servers",
    "tests.fixtures.services",
    "tests.fixtures.traceability",
]
