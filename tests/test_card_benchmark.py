"""The figures of the card and the README are those of the pages they come from."""

from __future__ import annotations

import pytest

from benchmarks.card import (
    fill,
    read_figures,
    tabulate_figures,
    tabulate_reasons,
    write_figures,
)

QUALITY = """
| collection | system | nDCG@10 | against BM25 | Judged@10 |
|---|---|---|---|---|
| dl21 | stage 1 | 0.5000 [0.4, 0.6] | +0.1 | 1.000 |
| dl21 | stage 1 + 0.1 BM25 | 0.6000 [0.5, 0.7] | +0.2 | 1.000 |
| dl21 | | 53 queries, 4.91 s a query | | |
"""
SYSTEMS = """# Systems
## dl21
| mini:stage1 | 0.4999 [0.4, 0.6] |
## scifact
| system | nDCG@10 |
| bm25 | 0.1000 [0.0, 0.2] |
| mini:both | 0.3000 [0.2, 0.4] |
| mini:both | 6 | 1 |
"""


def test_pages_are_what_the_command_would_write() -> None:
    for path, lines in write_figures().items():
        text = path.read_text(encoding="utf-8")
        assert fill(text, lines) == text, f"{path.name}: run python -m benchmarks.card"
        assert sum("0." in line for line in lines) >= 4


def test_each_figure_comes_from_its_page() -> None:
    figures = read_figures(QUALITY, SYSTEMS.replace("| mini:both | 6 | 1 |\n", ""))
    assert figures == {
        "dl21": {"stage 1": "0.5000", "stage 1 + 0.1 BM25": "0.6000"},
        "scifact": {"BM25": "0.1000", "stage 2": "0.3000"},
    }
    rows = tabulate_figures(figures, ("BM25", "stage 2"), goals=True)
    assert rows[-1] == "| SciFact (300) | 0.1000 | 0.3000 | 0.69 |"
    assert rows[3] == "| TREC DL21 (53) | – | – | 0.61 |"


def test_a_later_table_of_a_section_does_not_count() -> None:
    """The systems page counts helped and harmed queries under the same names."""
    assert read_figures(QUALITY, SYSTEMS)["scifact"]["stage 2"] == "0.3000"


def test_judgements_are_counted() -> None:
    reasons = '| measure | value | of |\n| verdict "answers" on the gold | 0.790 [0.7, 0.9] | 100 |'
    rows = tabulate_reasons(reasons, '{"faults": {"1": [], "2": ["not fluent"], "3": []}}')
    assert rows[2:] == [
        '| verdict "answers" on the gold | 0.790 [0.7, 0.9] | at least 0.80 |',
        "| judged one by one: fluent, specific and true | 2 of 3 | at least 45 |",
    ]


def test_a_page_keeps_what_stands_around_the_marks() -> None:
    page = "a\n<!-- figures -->\nold\n<!-- end of figures -->\nb\n"
    assert fill(page, ["new"]) == "a\n<!-- figures -->\n\nnew\n\n<!-- end of figures -->\nb\n"
    with pytest.raises(ValueError, match="expected <!-- figures -->"):
        fill("no marks", ["new"])
