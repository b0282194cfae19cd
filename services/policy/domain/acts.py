"""What may wait for a second owner: each act as it is kept until then."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from contracts.vocabulary import Factor, KeyMode, Requirement
from services.policy.domain.mailboxes import Shared, Then
from services.policy.domain.policy import Terms

_KEPT = ConfigDict(frozen=True, extra="forbid")


class PublishRules(BaseModel):
    """Bring a version of the rules into force."""

    model_config = _KEPT
    act: Literal["publish_rules"] = "publish_rules"
    version: int
    replaces: int | None
    reason: str


class ChangePolicy(BaseModel):
    """Let an application ask this where no rule decides."""

    model_config = _KEPT
    act: Literal["change_policy"] = "change_policy"
    application_id: UUID
    requirement: Requirement
    factors: tuple[Factor, ...]

    @property
    def terms(self) -> Terms:
        """Return what is asked then."""
        return Terms(self.requirement, factors=frozenset(self.factors))


class IssueOwnerKey(BaseModel):
    """Make somebody an owner; whoever proposed it knows the key, which is in force later only."""

    model_config = _KEPT
    act: Literal["issue_owner_key"] = "issue_owner_key"
    application_id: UUID
    key_id: UUID
    digest: str = Field(repr=False)
    mode: KeyMode
    holder: UUID


class EndFourEyes(BaseModel):
    """Let each owner act alone from now on."""

    model_config = _KEPT
    act: Literal["end_four_eyes"] = "end_four_eyes"


class ChangeMailboxes(BaseModel):
    """Let other people with shared mailboxes in."""

    model_config = _KEPT
    act: Literal["change_mailboxes"] = "change_mailboxes"
    then: Then
    names: tuple[str, ...] | None

    @property
    def shared(self) -> Shared:
        """Return what is said of shared mailboxes then."""
        return Shared(self.then, self.names)


Act = PublishRules | ChangePolicy | IssueOwnerKey | EndFourEyes | ChangeMailboxes
KeptAct = Annotated[Act, Field(discriminator="act")]
