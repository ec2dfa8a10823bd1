"""The Advanced settings: what can be chosen about a ranking besides query and corpus.

Takes a library, returns controls. Knows no event and no visitor.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from app.library import Library
from app.rank.ranking import AS_PROFILE, MAX_DEPTH, MIN_DEPTH, WINDOWS
from reranker.config import Profile
from reranker.types import RankSettings

_BEGIN = RankSettings()
QUANTIZATIONS = [
    ("4-bit NF4", "nf4"),
    ("4-bit FP4", "fp4"),
    ("8-bit int8", "int8"),
    ("bf16", "bf16"),
    ("fp32", "fp32"),
]
MODES = [("Reason first, then rank", "reason_first"), ("Rank first, then reason", "rank_first")]
_OWN = "As the student's profile says"
WINDOW_CHOICES = [(_OWN if name == AS_PROFILE else name, name) for name in WINDOWS]
FINALS = [
    (_OWN, AS_PROFILE),
    ("Stage 2 as it is", "stage2"),
    ("Stage 2 blended with stage 1", "blend"),
    ("Stage 1 alone", "stage1"),
    (f"Agreed over {_BEGIN.shuffles} shuffled readings (slow)", "agreed"),
]


def build_advanced(library: Library) -> dict[str, Any]:
    """The accordion with its controls, by the names `Choices` gives them."""
    profiles = library.list_profiles()
    with gr.Accordion("Advanced", open=False):
        with gr.Row():
            depth = gr.Slider(
                MIN_DEPTH, MAX_DEPTH, value=_BEGIN.depth, step=5, label="Depth",
                info="How many of BM25's candidates are reranked. A pasted list is taken whole.",
            )  # fmt: skip
            stages = make_stages(profiles[library.student])
            mode = gr.Radio(
                MODES, value=_BEGIN.mode, label="Mode",
                info="Whether stage 2 writes its notes before or after it orders the passages.",
            )  # fmt: skip
        with gr.Row():
            window = gr.Dropdown(
                WINDOW_CHOICES, value=AS_PROFILE, label="Window",
                info="How many passages stage 2 reads together, from the list's bottom upward.",
            )  # fmt: skip
            final = gr.Dropdown(
                FINALS, value=AS_PROFILE, label="Final order",
                info="Which stage has the last word; each stage's own order stays visible. "
                "Blended: both stages, BM25, nearness to the best passage and, by mini, a second "
                "reading of the query beside it. Agreed: "
                f"stage 2 reads {_BEGIN.shuffles + 1} times, and takes as many times as long.",
            )  # fmt: skip
            student = gr.Dropdown(
                [(profile.title, name) for name, profile in profiles.items()],
                value=library.student, label="Student",
                info="The weights that read. Published ones need the hub and a GPU.",
            )  # fmt: skip
            quantization = gr.Dropdown(
                QUANTIZATIONS, value=library.quantization, label="Quantisation",
                info="How the weights are held. It never changes by itself.",
            )  # fmt: skip
            grounding = gr.Checkbox(
                value=True, label="Grounded quotes",
                info="Quotes can only be words of their passage; off: checked afterwards.",
            )  # fmt: skip
    return {
        "student": student, "quantization": quantization, "stages": stages, "mode": mode,
        "final": final, "depth": depth, "window": window, "grounding": grounding,
    }  # fmt: skip


def make_stages(profile: Profile, chosen: str = "both", *, update: bool = False) -> Any:
    """The stages a student has to offer; as an update it leaves the control's name alone."""
    one, none = ("Stage 1", "1"), ("None: BM25's order", "none")
    whole = profile.stage2 is not None
    info = "Stage 1 scores each passage; stage 2 reads them together and explains."
    return gr.Radio(
        [("Both", "both"), one, ("Stage 2", "2"), none] if whole else [one, none],
        value=chosen if whole or chosen == "none" else "1",
        info=info if whole else "This student has no stage 2: no notes, only scores.",
        **({} if update else {"label": "Stages"}),
    )
