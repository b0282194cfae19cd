import pytest

from contracts.subjects import Mailbox
from services.policy.domain.email import checked_address
from services.policy.domain.mailboxes import (
    STANDARD_NAMES,
    Shared,
    Then,
    checked_name,
    less_shared,
    mailbox_of,
)

_REFUSED, _PERSONAL = Mailbox.SHARED_REFUSED, Mailbox.PERSONAL
_SOME = Shared(names=("info", "büro", "straße".casefold(), "noreply*", "klanten*"))


@pytest.mark.parametrize(
    ("address", "found"),
    [
        (None, Mailbox.NONE),
        ("info@example.org", _REFUSED),
        ("INFO@example.org", _REFUSED),
        ("Info@Example.ORG", _REFUSED),
        ("info+anna@example.org", _REFUSED),
        ("info+@example.org", _REFUSED),
        ("info+a+b@example.org", _REFUSED),
        ("anna+info@example.org", _PERSONAL),
        ("+info@example.org", _PERSONAL),
        ("in.fo@example.org", _PERSONAL),
        ("info.nl@example.org", _PERSONAL),
        ("infos@example.org", _PERSONAL),
        ("inf@example.org", _PERSONAL),
        ("my-info@example.org", _PERSONAL),
        ("anna@info.example.org", _PERSONAL),
        ("anna@info", _PERSONAL),
        ("büro@example.org", _REFUSED),
        ("BÜRO@example.org", _REFUSED),
        ("bu\u0308ro@example.org", _REFUSED),
        ("buro@example.org", _PERSONAL),
        ("STRASSE@example.org", _REFUSED),
        ("straße@example.org", _REFUSED),
        ("noreply@example.org", _REFUSED),
        ("NoReply-2026@example.org", _REFUSED),
        ("noreply+x@example.org", _REFUSED),
        ("norepl@example.org", _PERSONAL),
        ("anna.noreply@example.org", _PERSONAL),
        ("klantenservice@bücher.example", _REFUSED),
    ],
)
def test_a_mailbox_is_known_by_what_stands_before_a_tag(
    address: str | None, found: Mailbox
) -> None:
    assert mailbox_of(address, _SOME) is found


@pytest.mark.parametrize(
    ("then", "found"),
    [
        (Then.REFUSE, Mailbox.SHARED_REFUSED),
        (Then.FLAG, Mailbox.SHARED_FLAGGED),
        (Then.ALLOW, Mailbox.PERSONAL),
    ],
)
def test_what_becomes_of_a_shared_one_is_the_tenants_to_say(then: Then, found: Mailbox) -> None:
    assert mailbox_of("info@example.org", Shared(then)) is found
    assert mailbox_of("anna@example.org", Shared(then)) is Mailbox.PERSONAL
    assert mailbox_of(None, Shared(then)) is Mailbox.NONE


@pytest.mark.parametrize(
    "name",
    [
        *("info", "office", "admin", "administrator", "contact", "hello", "help", "helpdesk"),
        *("support", "sales", "team", "noreply", "no-reply", "postmaster", "webmaster"),
        *("hostmaster", "abuse", "billing", "hr", "jobs", "reception", "secretary", "mail"),
        *("marketing", "kantoor", "administratie", "receptie", "secretariaat", "balie"),
        *("klantenservice", "buero", "büro", "kontakt", "no-reply-2026", "security", "noc"),
    ],
)
def test_who_says_nothing_refuses_the_common_ones(name: str) -> None:
    assert mailbox_of(f"{name}@example.org", Shared()) is Mailbox.SHARED_REFUSED


def test_the_standard_names_could_be_said_and_are_there_once() -> None:
    assert [checked_name(name) for name in STANDARD_NAMES] == list(STANDARD_NAMES)
    assert len(set(STANDARD_NAMES)) == len(STANDARD_NAMES) <= 500
    addresses = [f"{name.replace('*', 'x')}@example.org" for name in STANDARD_NAMES]
    found = {mailbox_of(checked_address(address), Shared()) for address in addresses}
    assert found == {Mailbox.SHARED_REFUSED}


@pytest.mark.parametrize(
    "name", ["info", "no-reply*", "in.fo", "büro", "o'neill", "i*", "株式会社", "info_2"]
)
def test_a_name_that_an_address_can_have_is_taken(name: str) -> None:
    assert checked_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", "*", "**", "in*fo", "*info", "info**", "info*x", "Info", "BÜRO", "bu\u0308ro"),
        *("info@example.org", "info@", "info+x", " info", "info ", "in fo", "info\n", "in\u200bfo"),
        *("straße", '"info"', "a,b", "a\\b"),
    ],
)
def test_a_name_that_could_never_be_met_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="before @ and a plus sign"):
        checked_name(name)


def _named(*names: str, then: Then = Then.REFUSE) -> Shared:
    return Shared(then, names)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Shared(), Shared()),
        (Shared(), Shared(names=STANDARD_NAMES)),
        (Shared(), Shared(names=(*STANDARD_NAMES[::-1], "vakgroep"))),
        (Shared(Then.FLAG), Shared(Then.REFUSE)),
        (Shared(Then.ALLOW), Shared(Then.ALLOW, ())),
        (Shared(Then.ALLOW), Shared(Then.FLAG, ())),
        (_named("info"), _named("info", "office")),
        (_named("info"), _named("inf*")),
        (_named("info*"), _named("info*")),
        (_named("info-nl*", "info"), _named("info*")),
        (_named(), _named(then=Then.ALLOW)),
        (_named(), Shared()),
    ],
)
def test_what_lets_nobody_more_in_is_harmless(before: Shared, after: Shared) -> None:
    assert less_shared(before, after) == ()


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (Shared(), Shared(Then.FLAG), ("shared mailboxes: flag instead of refuse",)),
        (Shared(), Shared(Then.ALLOW), ("shared mailboxes: allow instead of refuse",)),
        (Shared(), Shared(Then.ALLOW, ()), ("shared mailboxes: allow instead of refuse",)),
        (Shared(Then.FLAG), Shared(Then.ALLOW), ("shared mailboxes: allow instead of flag",)),
        (_named("hr", "info"), _named("info"), ("no shared mailboxes any more: hr",)),
        (_named("hr", then=Then.FLAG), _named("info"), ("no shared mailboxes any more: hr",)),
        (_named("info*"), _named("info", "info1"), ("no shared mailboxes any more: info*",)),
        (_named("info*"), _named("info-*"), ("no shared mailboxes any more: info*",)),
        (
            _named("hr", "info"),
            _named("info", then=Then.FLAG),
            (
                "shared mailboxes: flag instead of refuse",
                "no shared mailboxes any more: hr",
            ),
        ),
    ],
)
def test_what_lets_more_in_is_said(before: Shared, after: Shared, words: tuple[str, ...]) -> None:
    assert less_shared(before, after) == words


def test_of_many_names_a_few_are_said() -> None:
    [words] = less_shared(Shared(), Shared(names=()))

    assert words.endswith(f" and {len(STANDARD_NAMES) - 10} more")


_ADDRESSES = [f"{name}@example.org" for name in ("info", "infos", "info-nl", "hr", "anna", "in")]
_LEVELS = {Mailbox.PERSONAL: 0, Mailbox.SHARED_FLAGGED: 1, Mailbox.SHARED_REFUSED: 2}
_LISTS = [(), ("info",), ("info*",), ("in*",), ("info", "hr"), ("info-*", "hr"), ("info-nl",)]


@pytest.mark.parametrize("then", Then)
@pytest.mark.parametrize("names", _LISTS)
def test_what_is_called_harmless_lets_nobody_more_in(then: Then, names: tuple[str, ...]) -> None:
    before = Shared(then, names)
    for after in (Shared(later, others) for later in Then for others in _LISTS):
        more = [
            one
            for one in _ADDRESSES
            if _LEVELS[mailbox_of(one, after)] < _LEVELS[mailbox_of(one, before)]
        ]
        assert not more or less_shared(before, after), (before, after, more)
