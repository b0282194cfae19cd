"""What names a person: sealed where it lies, and found by digests."""

import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from libs.sealing.data_keys import DataKeys
from libs.sealing.seal import DataKey, bound, key_version, open_seal, seal
from services.policy.domain.email import same_address
from services.policy.domain.subject import Personal, Subject
from services.policy.store.subjects import Digests, StoredSubject

SUBJECT = "subject"
LOOKUP = "subject lookup"
# Digests under two keys would not meet in the unique indexes: this key has one version for ever.
_LOOKUP_VERSION = 1


@dataclass(frozen=True)
class PersonalKeys:
    """The open keys of one tenant for one piece of work."""

    tenant: UUID
    lookup: DataKey
    newest: DataKey
    by_version: Mapping[int, DataKey]

    def seal(self, subject: Subject) -> StoredSubject:
        """Return the subject as it is stored."""
        personal = subject.personal
        content = {
            "subject": personal.subject,
            "email": personal.email,
            "label": personal.label,
        }
        place = self._place(subject.subject_ref)
        return StoredSubject(
            subject_ref=subject.subject_ref,
            version=subject.version,
            created=subject.created,
            sealed=seal(self.newest, json.dumps(content).encode(), place=place),
            attributes=subject.attributes,
        )

    def open(self, stored: StoredSubject) -> Subject:
        """Return the subject with what names it; raises SealBroken for a row that was tampered."""
        key = self.by_version[key_version(stored.sealed)]
        content = json.loads(open_seal(key, stored.sealed, place=self._place(stored.subject_ref)))
        return Subject(
            subject_ref=stored.subject_ref,
            version=stored.version,
            created=stored.created,
            personal=Personal(**content),
            attributes=stored.attributes,
        )

    def digests(self, personal: Personal) -> Digests:
        """Return by what the subject and its label are found."""
        return Digests(
            subject=self.subject_digest(personal.subject),
            label=self.label_digest(personal.label),
            email=self.email_digest(personal.email) if personal.email is not None else None,
        )

    def subject_digest(self, subject: str) -> bytes:
        """Return by what a subject is found."""
        return self._digest("subject", subject)

    def label_digest(self, label: str) -> bytes:
        """Return by what a label is found."""
        return self._digest("label", label)

    def content_digest(self, kind: str, content: bytes) -> bytes:
        """Return by what a file, or a part of one, is known again."""
        return hmac.digest(self.lookup.key, bound((kind,)) + content, "sha256")

    def email_digest(self, address: str) -> bytes:
        """Return by what the logins of an address are found."""
        return self._digest("email", same_address(address))

    def _digest(self, kind: str, text: str) -> bytes:
        return hmac.digest(self.lookup.key, bound((kind, text)), "sha256")

    def _place(self, subject_ref: UUID) -> tuple[str, ...]:
        return subject_place(self.tenant, subject_ref)


@dataclass(frozen=True)
class PersonalSeals:
    """Hands out a tenant's keys; ask before opening a transaction."""

    data_keys: DataKeys

    async def keys(self, tenant: UUID, stored: Iterable[StoredSubject] = ()) -> PersonalKeys:
        """Return the keys to seal and to find with, and to open what is stored."""
        newest = await self.data_keys.newest(tenant=tenant, purpose=SUBJECT)
        by_version = {newest.version: newest}
        for version in {key_version(one.sealed) for one in stored} - by_version.keys():
            by_version[version] = await self.data_keys.version(
                tenant=tenant, purpose=SUBJECT, version=version
            )
        await self.data_keys.newest(tenant=tenant, purpose=LOOKUP)
        lookup = await self.data_keys.version(
            tenant=tenant, purpose=LOOKUP, version=_LOOKUP_VERSION
        )
        return PersonalKeys(tenant, lookup=lookup, newest=newest, by_version=by_version)


def subject_place(tenant: UUID, subject_ref: UUID) -> tuple[str, ...]:
    """Return where what names a person belongs."""
    return (SUBJECT, str(tenant), str(subject_ref))
