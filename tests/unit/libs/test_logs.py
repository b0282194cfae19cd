import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest

from libs.logs import REDACTED, redact

ROOT = Path(__file__).parents[3]
LOGGER = logging.getLogger("test")

CANARIES = [
    "ww_test_0352jRBTidx5BSDJy1bnh1NhaxordOqhp7ZtzDBney",
    "otpauth://totp/x?secret=JBSWY3DPEHPK3PXP",
    "anna.smith@example.org",
    "eyJhbGciOiJFZDI1NTE5In0.eyJpc3MiOiJ4In0.c2lnbmF0dXJl",
    "postgresql://user:pw@127.0.0.1/db",
    "493817",
    "4938172605",
    "X7WJ-BP7J-02FF-6AZD-F2J4-9P2T-J4JD-S5TT",
    "rediss://:pw@localhost",
    "postgresql+psycopg://u:pw@localhost",
]


@pytest.mark.security("S14")
@pytest.mark.parametrize("canary", CANARIES)
def test_takes_secrets_out_of_any_text(canary: str) -> None:
    texts = {"event": f"seen {canary} here", "list": [{"deep": canary}], "tight": f"c:{canary}."}
    entry = redact(LOGGER, "info", texts)

    assert canary not in str(entry)
    assert REDACTED in str(entry)


@pytest.mark.security("S14")
@pytest.mark.parametrize(
    "name", ["code", "secret", "recovery_key", "authorization", "address", "to_address", "app_dsn"]
)
def test_takes_out_what_is_called_a_secret(name: str) -> None:
    assert redact(LOGGER, "info", {name: "plain"}) == {name: REDACTED}


def test_leaves_ids_counts_and_ports_alone() -> None:
    entry = {
        "event": "claim waits",
        "subject_ref": "01a209b7-07e8-7064-9c58-55502d53e096",
        "entries": 1234567,
        "status": 503,
    }

    assert redact(LOGGER, "info", dict(entry)) == entry


@pytest.mark.security("S14")
def test_a_traceback_shows_no_local_values() -> None:
    program = (
        "import structlog, logging\n"
        "from libs.logs import configure_logs\n"
        "configure_logs(service='test')\n"
        "def judge(code, secret):\n"
        "    raise ValueError('no ' + code)\n"
        "try:\n"
        "    judge('493817', 'canary-secret')\n"
        "except ValueError:\n"
        "    structlog.get_logger('a').exception('failed')\n"
        "    logging.getLogger('b').exception('failed too')\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    lines = done.stdout.splitlines()
    assert [json.loads(line)["service"] for line in lines if line.startswith("{")] == ["test"] * 2
    assert "493817" not in done.stdout + done.stderr
    assert "canary-secret" not in done.stdout + done.stderr
