"""The card of an exported project: what it is, who judged how much, how far they agreed.

Takes a project and its agreement report, returns Markdown with the hub's front matter. What
people wrote stands in code fences and code spans, where no markup or HTML comes to life.
"""

from __future__ import annotations

import re

import yaml

from reranker.annotation.agreement import Coefficient
from reranker.annotation.project import Project
from reranker.annotation.report import AgreementReport


def write_card(project: Project, report: AgreementReport, items: int) -> str:
    """The README.md of an export."""
    front = yaml.safe_dump(
        {
            "pretty_name": project.name,
            "tags": ["reranking", "relevance", "explanations", "human-annotation"],
            "task_categories": ["text-ranking"],
        },
        allow_unicode=True,
        sort_keys=False,
    )
    scale = "\n".join(f"- {grade.value}: {quote(grade.label)}" for grade in project.scale)
    asked = ", ".join(project.questions)
    blind = "hidden until an item was judged" if project.blind else "shown"
    guidelines = fence(project.guidelines) if project.guidelines.strip() else "None were written."
    return (
        f"---\n{front}---\n\n# Judgements: {quote(project.name)}\n\n"
        f"Passages from {quote(project.corpus or 'unnamed sources')}. {items:,} items, "
        f"{report.judged_items:,} judged, {report.shared_items:,} by two people or more; an item "
        f"was meant for {project.overlap}. Scores, systems and the models' order were {blind}.\n\n"
        f"## What was asked\n\n{asked}\n\n## The scale\n\n{scale}\n\n"
        f"## The guidelines\n\n{guidelines}\n\n## Agreement\n\n{_write_agreement(report)}\n\n"
        "## Rights\n\nThe texts of queries and passages keep the rights of where they are from. "
        "The licence of the judgements is not stated; whoever publishes them adds it here.\n"
    )


def quote(text: str) -> str:
    """`text` as one Markdown code span."""
    flat = " ".join(text.split())
    mark = "`" * (_longest_run(flat) + 1)
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{mark}{pad}{flat}{pad}{mark}" if flat else "none"


def fence(text: str) -> str:
    """`text` as a Markdown code block that nothing in it can end."""
    mark = "`" * max(3, _longest_run(text) + 1)
    return f"{mark}text\n{text.rstrip()}\n{mark}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def _write_agreement(report: AgreementReport) -> str:
    rows: list[tuple[str, str, Coefficient]] = [
        (q.question, "Krippendorff's α", q.alpha) for q in report.questions
    ]
    rows += [("evidence spans", "mean F1", report.spans), ("order", "mean τ-b", report.order)]
    shown = [
        f"| {question} | {measure} | {describe_coefficient(found)} | {found.units:,} |"
        for question, measure, found in rows
        if found.units
    ]
    if not shown:
        return "Nothing was judged by two people."
    return "\n".join(["| question | measure | value | units |", "|---|---|---|---|", *shown])


def describe_coefficient(found: Coefficient) -> str:
    """0.6914 [0.5120, 0.8300]; "not defined" where it is not."""
    if found.value is None:
        return "not defined"
    if found.low is None or found.high is None:
        return f"{found.value:.4f}"
    return f"{found.value:.4f} [{found.low:.4f}, {found.high:.4f}]"
