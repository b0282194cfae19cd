pytest_plugins = [
    "tests.fixtures.browser",
    "tests.fixtures.ctrl_c",
    "tests.fixtures.groups",
    "tests.fixtures.servers",
    "tests.fixtures.services",
    "tests.fixtures.traceability",
]
