"""What a Stop button says at once, on every tab.

Takes the button and the status line; joins them. Knows nothing of what is being stopped.
"""

from __future__ import annotations

import json
from typing import Any

from app.html import render_message
from app.messages import STOPPING, Message


def say_stopping(stop: Any, status: Any) -> None:
    """Lets a click be answered by the page itself: an answer from the server could come after that
    of the work, which ends as soon as it is stopped, and would stay."""
    stopping = render_message(Message(text=STOPPING, tone="busy"))
    stop.click(None, None, status, js=f"() => {json.dumps(stopping)}")
