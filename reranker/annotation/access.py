"""Who may do what in a project, and who may read whose answers.

Takes a person and what they ask for; raises AccessError, or lets it pass. An annotator reads
nobody else's answers, and nobody adjudicates an item before they have judged their own part of it.
"""

from __future__ import annotations

from collections.abc import Collection

from reranker.annotation.judgement import Judgement
from reranker.annotation.judging import Judging, current_judgements
from reranker.annotation.project import Role
from reranker.errors import InputError

READERS: tuple[Role, ...] = ("adjudicator", "owner")
"""Who may read everybody's answers."""
OWNERS: tuple[Role, ...] = ("owner",)


class AccessError(InputError):
    """A person asked for what their role does not give them."""


def require_role(
    judging: Judging, project_id: str, person: str, roles: Collection[Role] = ()
) -> Role:
    """The person's role. Raises AccessError without one, or without one of `roles`."""
    role = judging.store.find_role(project_id, person)
    if role is None or (roles and role not in roles):
        raise AccessError(
            f"expected {' or '.join(roles) or 'a member'} of the project, got "
            f"{role or 'somebody without a role in it'}; ask one of its owners"
        )
    return role


def read_for_adjudication(
    judging: Judging, project_id: str, item_id: str, person: str
) -> tuple[Judgement, ...]:
    """Everybody's newest annotation of an item, by name.

    Raises AccessError for annotators, and for an adjudicator whose own part is still open.
    """
    require_role(judging, project_id, person, READERS)
    own = judging.latest(project_id, item_id, "annotation", person)
    if judging.assignments.has_assigned(project_id, person, item_id) and (
        own is None or own.status != "done"
    ):
        raise AccessError(
            "expected your own judgement of this item first, got none; judge it, then read the "
            "others"
        )
    newest = current_judgements(judging.history(project_id, item_id, kind="annotation"))
    return tuple(newest[key] for key in sorted(newest))
