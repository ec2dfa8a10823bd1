"""Who is at the page: the name of its login, the one a proxy gives, or the only person there is.

Takes a request, returns a name. Grants nothing: roles are the annotation store's.
"""

from __future__ import annotations

import os
from typing import Any

HEADER_VARIABLE = "DEAR_USER_HEADER"
"""Names the header in which a proxy says who has logged in, e.g. X-Forwarded-User. Only to be set
where no request reaches the page past that proxy."""
SWITCH = "DEAR_ANNOTATION"
ALONE = "you"
"""The person at a page without a login: whoever reaches it is the same one."""


def is_annotation_on(logins: bool = False) -> bool:
    """On, except on a Space where visitors cannot be told apart; $DEAR_ANNOTATION decides
    otherwise (on, off)."""
    switch = os.environ.get(SWITCH, "").strip().lower()
    if switch:
        return switch in ("on", "1", "true", "yes")
    return not os.environ.get("SPACE_ID") or logins or bool(os.environ.get(HEADER_VARIABLE))


def find_person(request: Any) -> str:
    """The name of whoever sent an event or called one of a component's server functions; "" for
    somebody the proxy did not name.

    Events carry the login's name. Server functions get the bare request, whose cookie is looked
    up where Gradio keeps its logins.
    """
    header = os.environ.get(HEADER_VARIABLE)
    if header:
        return str(request.headers.get(header, "")).strip()
    if getattr(request, "username", None):
        return str(request.username)
    app: Any = getattr(request, "app", None)
    if getattr(app, "auth", None) is None:
        return ALONE
    cookies = request.cookies
    token = cookies.get(f"access-token-{app.cookie_id}") or cookies.get(
        f"access-token-unsecure-{app.cookie_id}"
    )
    return str(app.tokens.get(token) or "")
