from dataclasses import replace
from uuid import uuid4

from contracts.envelope import application_key, data_of, person_key
from contracts.policy import (
    APPLICATION_CHANGED,
    APPLICATION_STATE,
    POLICY_CHANGED,
    POLICY_STATE,
    SUBJECT_CHANGED,
    SUBJECT_STATE,
    TENANT_CHANGED,
    Change,
)
from services.policy.announcements import (
    application_changed,
    application_state,
    policy_changed,
    subject_changed,
    tenant_created,
)
from services.policy.domain.policy import standard_policy
from services.policy.domain.subject import erased_subject
from tests.unit.policy.builders import NOW, a_key, a_subject, an_application

_TENANT = uuid4()


def test_a_tenant_is_announced_under_its_own_id() -> None:
    topic, event = tenant_created(_TENANT, now=NOW)

    assert topic is TENANT_CHANGED.topic
    assert event.key == application_key(_TENANT, _TENANT)


def test_what_is_announced_of_an_application_does_not_grow_with_every_key_that_it_had() -> None:
    revoked = tuple(replace(a_key(), revoked=True) for _ in range(5000))
    application = an_application()
    aged = replace(application, keys=(*revoked[:2500], *application.keys, *revoked[2500:]))

    state = application_state(aged)

    assert [key.key_id for key in state.keys if not key.revoked] == [application.keys[0].key_id]
    assert [key.key_id for key in state.keys if key.revoked] == [
        one.key_id for one in revoked[-20:]
    ]
    assert len(state.model_dump_json()) < 10_000, "Kafka takes a million bytes at most"


def test_an_application_is_announced_as_fact_and_as_state() -> None:
    application = an_application()
    key = application.keys[0]

    fact, state = application_changed(
        _TENANT,
        application,
        change=Change.CREATED,
        key_id=key.key_id,
        changed_by=(by := uuid4()),
        now=NOW,
    )

    said = data_of(APPLICATION_CHANGED, fact[1])
    assert (said.key_id, said.changed_by) == (key.key_id, by)
    published = data_of(APPLICATION_STATE, state[1])
    assert (published.version, published.keys[0].digest) == (1, key.digest)
    assert fact[1].key == state[1].key == application_key(_TENANT, application.application_id)


def test_a_policy_is_announced_with_the_key_that_changed_it() -> None:
    policy, key_id = standard_policy(uuid4()), uuid4()

    fact, state = policy_changed(_TENANT, policy, changed_by=key_id, now=NOW)

    assert data_of(POLICY_CHANGED, fact[1]).changed_by == key_id
    assert data_of(POLICY_STATE, state[1]).version == policy.version


def test_a_subject_is_announced_without_what_names_it() -> None:
    subject = replace(a_subject(), version=7)

    said = subject_changed(_TENANT, subject, change=Change.UPDATED, now=NOW)

    assert data_of(SUBJECT_CHANGED, said[0][1]).version == 7
    assert data_of(SUBJECT_STATE, said[1][1]).groups == ("a", "b")
    assert said[0][1].key == person_key(_TENANT, subject.subject_ref)
    assert "anna" not in str(said).lower()


def test_an_erased_subject_is_announced_as_deleted() -> None:
    erased = erased_subject(a_subject())

    said = subject_changed(_TENANT, erased, change=Change.DELETED, now=NOW)

    state = data_of(SUBJECT_STATE, said[1][1])
    assert (state.deleted, state.version, state.user_type, state.groups) == (True, 2, None, ())
