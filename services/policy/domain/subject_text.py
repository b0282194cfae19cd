"""A subject as people and programs write it: what may stand there, and what it means."""

from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from contracts.subjects import LONGEST, SubjectName
from contracts.vocabulary import Language
from services.policy.domain.email import checked_address
from services.policy.domain.subject import Attributes, Keep, Personal, SubjectChange, in_order
from services.policy.domain.text import has_one_form

_Value = TypeVar("_Value")


def one_form(text: str) -> str:
    """Return the text unchanged; raises ValueError where it has another form."""
    if not has_one_form(text):
        raise ValueError("white space outside, unseen characters or text that is not NFC")
    return text


Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(one_form)]
Label = Annotated[str, Field(min_length=1, max_length=LONGEST), AfterValidator(one_form)]
Email = Annotated[str, Field(min_length=3, max_length=254), AfterValidator(checked_address)]
Groups = Annotated[frozenset[Name], Field(max_length=100)]


class SubjectBody(BaseModel):
    """`label` is what an authenticator app shows; without one it is the subject's id."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    subject: SubjectName
    email: Email | None = None
    label: Label | None = None
    user_type: Name | None = None
    groups: Groups = frozenset()
    language: Language = Language.ENGLISH


def personal_of(body: SubjectBody) -> Personal:
    """Return what names the person."""
    return Personal(body.subject, email=body.email, label=body.label or body.subject)


def attributes_of(body: SubjectBody) -> Attributes:
    """Return what policies may ask about."""
    return Attributes(body.user_type, groups=in_order(body.groups), language=body.language)


def change_by(body: SubjectBody) -> SubjectChange:
    """Return what a body changes of a subject that is there: what it does not name stays."""

    def given(name: str, value: _Value) -> _Value | Keep:
        return value if name in body.model_fields_set else Keep.KEEP

    return SubjectChange(
        email=given("email", body.email),
        label=given("label", body.label or body.subject),
        user_type=given("user_type", body.user_type),
        groups=given("groups", body.groups),
        language=given("language", body.language),
    )
