import pytest

from contracts.roles import SCOPES, Role, rights_of
from contracts.vocabulary import Scope


@pytest.mark.parametrize(
    ("role", "rights"),
    [
        (Role.OWNER, {"manage", "own", "support", "read"}),
        (Role.ADMINISTRATOR, {"manage", "support", "read"}),
        (Role.SERVICE_DESK, {"support"}),
        (Role.AUDITOR, {"read"}),
    ],
)
def test_a_person_may_what_the_role_says(role: Role, rights: set[str]) -> None:
    assert rights_of(role, SCOPES[role]) == rights


def test_an_application_may_what_its_scopes_say() -> None:
    assert rights_of(Role.APPLICATION, (Scope.VERIFY, Scope.ENROLL)) == {"verify", "enroll"}


@pytest.mark.requirement("C1")
def test_only_owners_own() -> None:
    for role in Role:
        assert ("own" in rights_of(role, Scope)) == (role is Role.OWNER)
