"""Which login addresses belong to nobody alone, and whether their owners may enroll (D6).

RFC 2142 names some of them; the others are what organisations call their shared mailboxes.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from contracts.subjects import Mailbox
from services.policy.domain.text import has_one_form

_MOST_SAID = 10
_ANY_END = "*"
_NEVER_IN_A_NAME = frozenset('@+*"(),:;<>[]\\ ')


class Then(StrEnum):
    """What becomes of somebody whose login address is a shared one; the firmest first."""

    REFUSE = "refuse"
    FLAG = "flag"
    ALLOW = "allow"


STANDARD_NAMES = (
    *("abuse", "accountant", "accounting", "accounts", "admin", "administration"),
    *("administrator", "adverts", "advertising", "all", "billing", "board", "booking"),
    *("bookings", "careers", "charity", "compliance", "contact", "contracts", "customerservice"),
    *("customer-service", "desk", "dpo", "editor", "enquiries", "enquiry", "events", "everyone"),
    *("facilities", "feedback", "finance", "frontdesk", "ftp", "general", "hello", "help"),
    *("helpdesk", "hostmaster", "hr", "info", "information", "inquiries", "invoices", "it"),
    *("jobs", "legal", "list", "mail", "mailer-daemon", "mailbox", "management", "marketing"),
    *("media", "news", "newsletter", "noc", "office", "operations", "orders", "payments"),
    *("payroll", "planning", "post", "postmaster", "press", "privacy", "purchasing", "reception"),
    *("recruitment", "reservations", "root", "sales", "secretary", "security", "service"),
    *("servicedesk", "service-desk", "shop", "staff", "support", "team", "usenet", "uucp"),
    *("webmaster", "welcome", "www", "do-not-reply*", "donotreply*", "no-reply*", "no.reply*"),
    *("no_reply*", "noreply*"),
    # Dutch.
    *("aanmelden", "aanmelding", "administratie", "afspraken", "algemeen", "balie", "bestellingen"),
    *("bestuur", "boekhouding", "contactpersoon", "crediteuren", "debiteuren", "directie"),
    *("facturatie", "facturen", "financien", "inkoop", "inschrijving", "kantoor", "klacht"),
    *("klachten", "klanten", "klantenservice", "leerlingzaken", "loket", "ondersteuning", "pers"),
    *("personeelszaken", "planbord", "receptie", "redactie", "reserveren", "secretariaat"),
    *("studentenzaken", "telefoniste", "vacatures", "verkoop", "vragen", "werkplaats", "winkel"),
    *("geen-antwoord*", "niet-beantwoorden*"),
    # German.
    *("anfrage", "anfragen", "anmeldung", "ausbildung", "bestellung", "bewerbung", "buchhaltung"),
    *("buero", "büro", "datenschutz", "einkauf", "empfang", "geschaeftsfuehrung"),
    *("geschäftsführung", "hilfe", "karriere", "kontakt", "kundendienst", "kundenservice"),
    *("leitung", "personalabteilung", "poststelle", "praxis", "presse", "rechnung"),
    *("rechnungen", "redaktion", "rezeption", "sekretariat", "verkauf", "vertrieb", "vorstand"),
    *("verwaltung", "zentrale"),
)


@dataclass(frozen=True)
class Shared:
    """What a tenant says of shared mailboxes: without `names` the standard ones are meant."""

    then: Then = Then.REFUSE
    names: tuple[str, ...] | None = None

    @property
    def patterns(self) -> tuple[str, ...]:
        """Return the names that are shared."""
        return STANDARD_NAMES if self.names is None else self.names


@dataclass(frozen=True)
class Mailboxes:
    """What a tenant says of shared mailboxes now; `version` grows with every change."""

    shared: Shared
    version: int


def checked_name(text: str) -> str:
    """Return the name of a mailbox unchanged; raises ValueError where it could not be met.

    It stands as addresses are compared with it: folded to lower case, NFC; `*` is any end.
    """
    stem = text.removesuffix(_ANY_END)
    if not has_one_form(stem) or _NEVER_IN_A_NAME & set(stem) or _folded(stem) != stem:
        raise ValueError("what stands before @ and a plus sign, in lower case; * only at the end")
    return text


def mailbox_of(address: str | None, shared: Shared) -> Mailbox:
    """Return what a login address is to a tenant; what follows a plus sign is a tag of one's own.

    Dots are not overlooked: whether they make a difference is the receiver's to say.
    """
    if address is None:
        return Mailbox.NONE
    name = _folded(address.rpartition("@")[0]).partition("+")[0]
    if not any(_meets(pattern, name) for pattern in shared.patterns):
        return Mailbox.PERSONAL
    match shared.then:
        case Then.REFUSE:
            return Mailbox.SHARED_REFUSED
        case Then.FLAG:
            return Mailbox.SHARED_FLAGGED
        case Then.ALLOW:
            return Mailbox.PERSONAL


def less_shared(before: Shared, after: Shared) -> tuple[str, ...]:
    """Return how this lets more people in than that, in words; nothing where it surely does not."""
    return tuple(_less_shared(before, after)) if before.then is not Then.ALLOW else ()


def _less_shared(before: Shared, after: Shared) -> Iterator[str]:
    firmness = list(Then)
    if before.patterns and firmness.index(after.then) > firmness.index(before.then):
        yield f"shared mailboxes: {after.then.value} instead of {before.then.value}"
    if after.then is Then.ALLOW:
        return
    if gone := [one for one in before.patterns if not _covered(one, after.patterns)]:
        more = f" and {len(gone) - _MOST_SAID} more" if len(gone) > _MOST_SAID else ""
        yield f"no shared mailboxes any more: {', '.join(gone[:_MOST_SAID])}{more}"


def _folded(local: str) -> str:
    folded = unicodedata.normalize("NFC", local).casefold()
    return unicodedata.normalize("NFC", folded)


def _meets(pattern: str, name: str) -> bool:
    if pattern.endswith(_ANY_END):
        return name.startswith(pattern.removesuffix(_ANY_END))
    return name == pattern


def _covered(pattern: str, patterns: tuple[str, ...]) -> bool:
    if not pattern.endswith(_ANY_END):
        return any(_meets(one, pattern) for one in patterns)
    # Finitely many names are not all that begin alike.
    beginnings = (one.removesuffix(_ANY_END) for one in patterns if one.endswith(_ANY_END))
    return any(pattern.startswith(one) for one in beginnings)
