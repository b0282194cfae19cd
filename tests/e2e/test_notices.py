import pytest

from tests.e2e.people import Tenancy, until

# One system for all of these tests: they run in one worker, one after another.
pytestmark = pytest.mark.xdist_group("e2e")


@pytest.mark.requirement("F3")
@pytest.mark.parametrize(("language", "word"), [("en", "authenticator"), ("nl", "toegevoegd")])
async def test_the_person_is_told_once_by_e_mail(
    tenancy: Tenancy, language: str, word: str
) -> None:
    person = await tenancy.enrolled(language=language)

    async def told() -> bool:
        return len(await tenancy.mails_to(person)) > 0

    await until(told)
    events = await tenancy.events_of(person, until_type="mfa.notification_sent")

    mails = await tenancy.mails_to(person)
    assert len(mails) == 1
    assert word in str(mails[0]["text"]).lower()
    assert [event.type for event in events].count("mfa.notification_sent") == 1
    assert not any(person.name in str(event.data) for event in events)
