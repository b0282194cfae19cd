"""What other services may ask; everything that names a person goes in a letter."""

from collections.abc import Callable, Sequence

from fastapi import APIRouter, Depends

from contracts.internal import (
    ACKNOWLEDGE_CONTACT,
    CLAIM_CONTACT,
    NAME_SUBJECTS,
    RESOLVE_SUBJECT,
    RESOLVE_SUBJECTS,
    AcknowledgeContact,
    ClaimContact,
    ClaimedContact,
    Done,
    NamedSubjects,
    NameSubjects,
    ResolvedSubject,
    ResolvedSubjects,
    ResolveSubject,
    ResolveSubjects,
    letter_place,
)
from libs.sealing.letter import write_letter
from libs.web.identity import InternalCallers
from services.policy.api.problems import accepted, not_a_public_key, too_many_subjects
from services.policy.use_cases.contacts import Contacts
from services.policy.use_cases.mailboxes import SharedMailboxes
from services.policy.use_cases.subjects import Subjects

_MOST_SUBJECTS = 500


def internal_routes(
    subjects: Subjects,
    contacts: Contacts,
    *,
    mailboxes: SharedMailboxes,
    callers: Callable[..., InternalCallers],
) -> APIRouter:
    """Make policy's internal routes, each for the callers that its contract lists."""
    router = APIRouter(tags=["internal"])
    _resolving(router, subjects, mailboxes, callers=callers)
    _naming(router, subjects, callers)
    _claims(router, contacts, callers)
    return router


def _resolving(
    router: APIRouter,
    subjects: Subjects,
    mailboxes: SharedMailboxes,
    *,
    callers: Callable[..., InternalCallers],
) -> None:

    @router.post(RESOLVE_SUBJECT.path, dependencies=[Depends(callers(*RESOLVE_SUBJECT.callers))])
    async def resolve_subject(body: ResolveSubject) -> ResolvedSubject:
        subject = accepted(await subjects.find(body.tenant, body.subject))
        place = letter_place(RESOLVE_SUBJECT, body.tenant, body.subject)
        content: dict[str, object] = {"label": subject.personal.label}
        return ResolvedSubject(
            subject_ref=subject.subject_ref,
            language=subject.attributes.language,
            letter=_letter(body.public_key, content, place=place),
            user_type=subject.attributes.user_type,
            groups=subject.attributes.groups,
            mailbox=await mailboxes.of(body.tenant, subject.personal.email),
        )

    @router.post(RESOLVE_SUBJECTS.path, dependencies=[Depends(callers(*RESOLVE_SUBJECTS.callers))])
    async def resolve_subjects(body: ResolveSubjects) -> ResolvedSubjects:
        if len(body.subjects) > _MOST_SUBJECTS:
            raise too_many_subjects()
        found = await subjects.find_refs(body.tenant, body.subjects)
        return ResolvedSubjects(subject_refs=tuple(found.get(name) for name in body.subjects))


def _naming(router: APIRouter, subjects: Subjects, callers: Callable[..., InternalCallers]) -> None:

    @router.post(NAME_SUBJECTS.path, dependencies=[Depends(callers(*NAME_SUBJECTS.callers))])
    async def name_subjects(body: NameSubjects) -> NamedSubjects:
        if len(body.subject_refs) > _MOST_SUBJECTS:
            raise too_many_subjects()
        found = await subjects.load_many(body.tenant, body.subject_refs)
        names = {str(one.subject_ref): one.personal.subject for one in found}
        place = letter_place(NAME_SUBJECTS, body.tenant)
        return NamedSubjects(letter=_letter(body.public_key, {"names": names}, place=place))


def _claims(router: APIRouter, contacts: Contacts, callers: Callable[..., InternalCallers]) -> None:

    @router.post(CLAIM_CONTACT.path, dependencies=[Depends(callers(*CLAIM_CONTACT.callers))])
    async def claim_contact(body: ClaimContact) -> ClaimedContact:
        tenant, attempt = body.tenant, body.attempt_id
        subject = accepted(
            await contacts.claim(
                tenant, body.subject_ref, caused_by=body.caused_by, attempt=attempt
            )
        )
        content: dict[str, object] = {
            "email": subject.personal.email,
            "language": subject.attributes.language.value,
        }
        place = letter_place(CLAIM_CONTACT, tenant, body.subject_ref, attempt)
        return ClaimedContact(letter=_letter(body.public_key, content, place=place))

    @router.post(
        ACKNOWLEDGE_CONTACT.path, dependencies=[Depends(callers(*ACKNOWLEDGE_CONTACT.callers))]
    )
    async def acknowledge_contact(body: AcknowledgeContact) -> Done:
        tenant, attempt = body.tenant, body.attempt_id
        accepted(await contacts.acknowledge(tenant, caused_by=body.caused_by, attempt=attempt))
        return Done(effective=True)


def _letter(public_key: str, content: dict[str, object], *, place: Sequence[str]) -> str:
    try:
        return write_letter(public_key, content, place=place)
    except ValueError:
        raise not_a_public_key() from None
