"""Every public route: what a key must be good for, and what is sent to it.

`tests/e2e/test_every_route.py` compares this with the documents: a route without a row fails.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts.roles import Right
from contracts.vocabulary import Scope

SERVICES = ("policy", "enrollment", "verification", "recovery")


@dataclass(frozen=True)
class Row:
    """What a route wants of a key (any one of these), and a body; `subject` is put in."""

    wants: frozenset[str]
    body: Mapping[str, object] | None = None
    text: str | None = None


def _row(*wants: str, body: Mapping[str, object] | None = None, text: str | None = None) -> Row:
    return Row(frozenset(wants), body, text)


# Where no key of an application is asked for.
OPERATOR = "operator"
EVERYBODY = "everybody"

_SOMEBODY = {"subject": "{subject}"}
_RULES: Mapping[str, object] = {"rules": {"rules": []}}

ROUTES: Mapping[tuple[str, str], Row] = {
    ("POST", "/v1/tenants"): _row(OPERATOR, body={"name": "A university"}),
    ("GET", "/v1/applications"): _row(Right.READ),
    ("POST", "/v1/applications"): _row(Scope.MANAGE, body={"name": "Mail"}),
    ("GET", "/v1/applications/{application_id}"): _row(Right.READ),
    ("POST", "/v1/applications/{application_id}/keys"): _row(Scope.MANAGE, body={}),
    ("DELETE", "/v1/applications/{application_id}/keys/{key_id}"): _row(Scope.MANAGE),
    ("PUT", "/v1/applications/{application_id}/passkeys"): _row(
        Scope.MANAGE, body={"rp_id": "localhost", "origins": ["https://localhost"]}
    ),
    ("DELETE", "/v1/applications/{application_id}/passkeys"): _row(Scope.MANAGE),
    ("GET", "/v1/policies/{application_id}"): _row(Right.READ),
    ("PUT", "/v1/policies/{application_id}"): _row(
        Right.OWN, body={"requirement": "off", "factors": []}
    ),
    ("POST", "/v1/rules"): _row(Scope.MANAGE, body={**_RULES, "reason": "To begin with"}),
    ("GET", "/v1/rules"): _row(Right.READ),
    ("POST", "/v1/rules/comparison"): _row(Scope.MANAGE, body=_RULES),
    ("GET", "/v1/rules/{version}"): _row(Right.READ),
    ("GET", "/v1/rules/{version}/changes"): _row(Right.READ),
    ("POST", "/v1/rules/{version}/publication"): _row(
        Right.OWN, body={"replaces": None, "reason": "To begin with"}
    ),
    ("POST", "/v1/rules/simulation"): _row(Right.READ, body=_RULES),
    ("POST", "/v1/rules/simulation/people"): _row(Right.READ, body={"meet": "deny"}),
    ("GET", "/v1/coverage"): _row(Right.READ),
    ("POST", "/v1/subjects"): _row(Scope.MANAGE, body={"subject": "{new}"}),
    ("GET", "/v1/subjects"): _row(Scope.MANAGE),
    ("POST", "/v1/subjects/search"): _row(Right.SUPPORT, body=_SOMEBODY),
    ("GET", "/v1/subjects/{subject_ref}"): _row(Right.SUPPORT),
    ("PATCH", "/v1/subjects/{subject_ref}"): _row(Scope.MANAGE, body={"language": "nl"}),
    ("DELETE", "/v1/subjects/{subject_ref}"): _row(Scope.MANAGE),
    ("POST", "/v1/subjects/logins"): _row(Right.SUPPORT, body={"email": "anna@example.org"}),
    ("POST", "/v1/imports"): _row(Scope.MANAGE, body={"format": "csv", "dry_run": True}),
    ("GET", "/v1/imports/{import_id}"): _row(Scope.MANAGE),
    ("DELETE", "/v1/imports/{import_id}"): _row(Scope.MANAGE),
    ("PUT", "/v1/imports/{import_id}/parts/{number}"): _row(
        Scope.MANAGE, text="subject\nnobody@example.org\n"
    ),
    ("POST", "/v1/imports/{import_id}/start"): _row(Scope.MANAGE),
    ("GET", "/v1/imports/{import_id}/rows"): _row(Scope.MANAGE),
    ("GET", "/v1/settings"): _row(Right.READ),
    ("PUT", "/v1/settings"): _row(Right.OWN, body={"four_eyes": False}),
    ("GET", "/v1/settings/mailboxes"): _row(Right.READ),
    ("PUT", "/v1/settings/mailboxes"): _row(Right.OWN, body={"then": "refuse"}),
    ("GET", "/v1/proposals"): _row(Right.READ),
    ("GET", "/v1/proposals/{proposal_id}"): _row(Right.READ),
    ("POST", "/v1/proposals/{proposal_id}/approval"): _row(Right.OWN),
    ("DELETE", "/v1/proposals/{proposal_id}"): _row(Right.OWN),
    ("POST", "/v1/enrollments"): _row(Scope.ENROLL, body={**_SOMEBODY, "factor": "totp"}),
    ("POST", "/v1/enrollments/email-code"): _row(Scope.ENROLL, body=_SOMEBODY),
    ("POST", "/v1/enrollments/continuation"): _row(
        Scope.ENROLL, body={**_SOMEBODY, "code": "ABCD-EFGH"}
    ),
    ("GET", "/v1/enrollments/{enrollment_id}"): _row(Scope.ENROLL),
    ("POST", "/v1/enrollments/{enrollment_id}/handover"): _row(Scope.ENROLL),
    ("POST", "/v1/enrollments/{enrollment_id}/code"): _row(Scope.ENROLL),
    ("POST", "/v1/enrollments/{enrollment_id}/confirmation"): _row(
        Scope.ENROLL, body={"code": "123456"}
    ),
    ("POST", "/v1/authenticators/removal"): _row(Scope.ENROLL, Right.SUPPORT, body=_SOMEBODY),
    ("POST", "/v1/authenticators/search"): _row(Scope.ENROLL, Right.SUPPORT, body=_SOMEBODY),
    ("GET", "/v1/authenticators/{authenticator_id}"): _row(Scope.ENROLL, Right.SUPPORT),
    ("PATCH", "/v1/authenticators/{authenticator_id}"): _row(
        Scope.ENROLL, Right.SUPPORT, body={"name": "My phone"}
    ),
    ("DELETE", "/v1/authenticators/{authenticator_id}"): _row(Scope.ENROLL, Right.SUPPORT),
    ("POST", "/v1/authenticator-imports"): _row(Scope.MANAGE, body={"dry_run": True}),
    ("GET", "/v1/authenticator-imports/{authenticator_import_id}"): _row(Scope.MANAGE),
    ("DELETE", "/v1/authenticator-imports/{authenticator_import_id}"): _row(Scope.MANAGE),
    ("PUT", "/v1/authenticator-imports/{authenticator_import_id}/parts/{number}"): _row(
        Scope.MANAGE, text='{"refused": true}\n'
    ),
    ("POST", "/v1/authenticator-imports/{authenticator_import_id}/start"): _row(Scope.MANAGE),
    ("GET", "/v1/authenticator-imports/{authenticator_import_id}/rows"): _row(Scope.MANAGE),
    ("GET", "/v1/hardware-tokens"): _row(Scope.MANAGE),
    ("POST", "/v1/hardware-tokens/search"): _row(Scope.MANAGE, body={"serial": "canary"}),
    ("DELETE", "/v1/hardware-tokens/{hardware_token_id}"): _row(Scope.MANAGE),
    ("POST", "/v1/decisions"): _row(Scope.VERIFY, body=_SOMEBODY),
    ("POST", "/v1/verify"): _row(Scope.VERIFY, body={**_SOMEBODY, "code": "123456"}),
    ("POST", "/v1/skips"): _row(Scope.VERIFY, body=_SOMEBODY),
    ("POST", "/v1/devices/search"): _row(Scope.VERIFY, Right.SUPPORT, body=_SOMEBODY),
    ("DELETE", "/v1/devices/{device_id}"): _row(Scope.VERIFY, Right.SUPPORT),
    ("GET", "/v1/receipts/keys"): _row(EVERYBODY),
    ("POST", "/v1/unlocks"): _row(Right.SUPPORT, body=_SOMEBODY),
    ("POST", "/v1/recovery-keys"): _row(Scope.ENROLL, body={"ticket": "x"}),
    ("POST", "/v1/recovery-keys/{key_id}/acknowledgement"): _row(
        Scope.ENROLL, body={"generation": 1}
    ),
    ("POST", "/v1/recoveries"): _row(
        Scope.ENROLL, body={**_SOMEBODY, "recovery_key": "ABCDE-FGHJK-MNPQR-STVWX-YZ234-56789"}
    ),
    ("GET", "/v1/resets/{reset_id}"): _row(Scope.ENROLL),
}
