"""Check a receipt of Watchword without asking Watchword.

Save the public keys now and then (they are published a day before they sign), and check with them:

    curl -s $WATCHWORD/v1/receipts/keys > keys.json
    python examples/check_receipt.py keys.json --issuer https://watchword.invalid \
        --application 0199... --subject anna@example.org --nonce 5f8a... < receipt.txt

It needs `pip install joserfc`. Exit code 0: the claims are printed; 1: the receipt proves nothing.
"""

import argparse
import json
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, KeySetSerialization

_TYPE = "watchword-receipt+jwt"
# Clocks of two machines differ.
_LEEWAY_SECONDS = 5


class ReceiptRefusedError(Exception):
    """The receipt does not prove that this person has just passed for this login."""


@dataclass(frozen=True)
class Expected:
    """What your application knows of the login that the receipt must belong to."""

    issuer: str
    application: str
    subject: str
    nonce: str


def check(
    receipt: str, keys: KeySetSerialization, *, expected: Expected, now: datetime
) -> dict[str, Any]:
    """Return the claims of a receipt; raises ReceiptRefusedError where one of them is wrong.

    Take each nonce once: forget it with the login that it was made for.
    """
    claims = _signed_claims(receipt, keys)
    wanted = {
        "iss": expected.issuer,
        "aud": expected.application,
        "sub": expected.subject,
        "nonce": expected.nonce,
    }
    for name, value in wanted.items():
        if claims.get(name) != value:
            raise ReceiptRefusedError(f"{name} is not the expected one")
    if claims["exp"] + _LEEWAY_SECONDS <= now.timestamp():
        raise ReceiptRefusedError("expired")
    if claims["iat"] - _LEEWAY_SECONDS > now.timestamp():
        raise ReceiptRefusedError("from the future")
    return claims


def _signed_claims(receipt: str, keys: KeySetSerialization) -> dict[str, Any]:
    try:
        # The algorithm is ours to choose and not the receipt's.
        signed = jws.deserialize_compact(
            receipt, KeySet.import_key_set(keys), algorithms=["Ed25519"]
        )
        claims: dict[str, Any] = json.loads(signed.payload)
    except (JoseError, ValueError):
        raise ReceiptRefusedError("not signed by a key of the saved set") from None
    if signed.protected.get("typ") != _TYPE:
        raise ReceiptRefusedError("a token of another kind")
    return claims


def main(arguments: list[str]) -> int:
    """Check the receipt that comes by the standard input."""
    parser = argparse.ArgumentParser()
    parser.add_argument("keys", type=Path)
    for name in ("issuer", "application", "subject", "nonce"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args(arguments)
    expected = Expected(given.issuer, given.application, given.subject, given.nonce)
    keys, receipt = json.loads(given.keys.read_text()), sys.stdin.read().strip()
    try:
        claims = check(receipt, keys, expected=expected, now=datetime.now(UTC))
    except ReceiptRefusedError as refused:
        sys.stderr.write(f"refused: {refused}\n")
        return 1
    sys.stdout.write(json.dumps(claims, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
