"""The ablation compares like with like: one thing changed a row, gains in the row's own form."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from benchmarks.ablation import (
    GROUPS,
    HYBRID,
    UNTRAINED,
    Measured,
    Variant,
    write_student,
    write_table,
)
from reranker.config import DEFAULT_STUDENT, load_profile

VARIANTS = {name: variant for group in GROUPS.values() for name, variant in group.items()}


def test_every_row_differs_from_the_hybrid_in_one_thing() -> None:
    hybrid = asdict(VARIANTS[HYBRID])
    for name, variant in VARIANTS.items():
        changed = [key for key, value in asdict(variant).items() if value != hybrid[key]]
        assert len(changed) == (name != HYBRID), name


def test_a_form_is_a_student_that_loads(tmp_path: Path) -> None:
    assert write_student(DEFAULT_STUDENT, Variant(), tmp_path) == DEFAULT_STUDENT
    mini, pooled, cross = (
        load_profile(write_student(DEFAULT_STUDENT, VARIANTS[name], tmp_path))
        for name in (HYBRID, "pooled only", "cross-encoder")
    )
    assert (cross.stage1.form, cross.stage1.pooled_weight) == (
        "crossencoder",
        mini.stage1.pooled_weight,
    )
    assert pooled.stage1.pooled_weight == 1.0 != mini.stage1.pooled_weight
    assert (pooled.stage1.base, pooled.stage1.adapter) == (mini.stage1.base, "")
    assert pooled.stage2 is None


def measure(value: float) -> Measured:
    values = {f"q{number}": value for number in range(5)}
    return Measured(squad=values, dl21=values)


def test_gains_are_over_the_untrained_base_in_the_same_form() -> None:
    measured = {name: [{UNTRAINED: measure(0.5), "trained": measure(0.6)}] * 2 for name in VARIANTS}
    measured["pooled only"] = [
        {UNTRAINED: measure(0.25), "trained": measure(value)} for value in (0.375, 0.625)
    ]
    rows = {
        cells[0]: cells[1:]
        for line in write_table(measured)
        if len(cells := [cell.strip() for cell in line.strip("|").split("|")]) > 5
    }
    assert rows["CE only"][2].startswith("+0.1000 [") and rows["CE only"][3].startswith("+0.0000")
    assert rows["pooled only"][:2] == ["0.5000 [0.500, 0.500]", "0.3750, 0.6250"]
    assert rows["pooled only"][2].startswith("+0.2500")
    assert rows["pooled only"][3].startswith("-0.1000")
    assert rows["untrained, pooled only"][0].startswith("0.2500")
    assert rows["untrained, pooled only"][3].startswith("-0.3500")
    assert rows[HYBRID][3] == "", "the hybrid is not compared with itself"


def test_groups_that_were_not_run_have_no_rows() -> None:
    runs = [{UNTRAINED: measure(0.5), "trained": measure(0.6)}]
    rows = "\n".join(write_table({HYBRID: runs, "cross-encoder": [{"trained": measure(0.4)}]}))
    assert "**Form**" in rows and "untrained, cross-encoder" not in rows
    assert rows.splitlines()[-1].count("-0.1000 [") == 2, "over the student's untrained base"
    assert "**Pooling**" not in rows and "CE only" not in rows
