"""When a training run ends: callbacks for transformers' Trainer. Knows no model."""

from __future__ import annotations

import time
from typing import Any

from transformers import TrainerCallback


class StopAfter(TrainerCallback):
    """Saves and ends the run when its minutes are spent."""

    def __init__(self, minutes: float) -> None:
        self.deadline = time.monotonic() + 60 * minutes

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if time.monotonic() > self.deadline:
            control.should_save = control.should_training_stop = True
