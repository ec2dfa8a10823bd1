"""How far an attacker gets by what a passage says: every attack against every defence.

Takes a workbench and a passage, returns ranks before and after, per stage. A defence is applied to
all passages, before both stages, and has its own ranking to start from. An attack succeeds where
its passage gains more places than a harmless sentence of the same kind does. Draws nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from reranker.errors import InputError
from reranker.explain.attacks import ATTACKS, CONTROL, DEFENCES, Attack, Defence
from reranker.explain.attribution import find_passage
from reranker.explain.cost import Cost, estimate_cost
from reranker.suspicion import find_suspicions
from reranker.types import Hit, RankedHit, RankingTrace, Verdict

if TYPE_CHECKING:
    from reranker.explain.workbench import Workbench


@dataclass(frozen=True, kw_only=True, slots=True)
class RedTeamRequest:
    """doc_id: the passage an attacker writes. The control is always among the attacks. stage2:
    False asks stage 1 alone, which takes seconds."""

    doc_id: str
    attacks: tuple[str, ...] = tuple(a.name for a in ATTACKS)
    defences: tuple[str, ...] = ("served", "all")
    stage2: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class AttackOutcome:
    """One attack under one defence. gain: places won in the final order beyond the control's;
    gain_stage1: the same in stage 1's. flagged: an ordinary ranking would show a suspicion."""

    attack: str
    defence: str
    rank_before: int
    rank_after: int
    rank_stage1_before: int | None
    rank_stage1_after: int | None
    verdict_before: Verdict | None
    verdict_after: Verdict | None
    gain: int
    gain_stage1: int
    flagged: bool

    @property
    def succeeded(self) -> bool:
        return self.gain > 0

    @property
    def succeeded_stage1(self) -> bool:
        return self.gain_stage1 > 0

    @property
    def took_first(self) -> bool:
        """Whether it brought the passage to the very top."""
        return self.rank_after == 1 < self.rank_before


@dataclass(frozen=True, kw_only=True, slots=True)
class RedTeam:
    """outcomes: by defence, then attack, the control first."""

    doc_id: str
    outcomes: tuple[AttackOutcome, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class AttackRate:
    """Over several passages: shares and mean gains of one attack under one defence."""

    attack: str
    defence: str
    tried: int
    success: float
    success_stage1: float
    gain: float
    gain_stage1: float
    took_first: float
    flagged: float


def estimate_red_team(trace: RankingTrace, request: RedTeamRequest) -> Cost:
    """A ranking for every attack under every defence, and one without an attack."""
    attacks = len({CONTROL, *request.attacks})
    runs = len(request.defences) * (attacks + 1)
    reads = runs if request.stage2 and trace.settings.stages in ("2", "both") else 0
    scorings = len(request.defences) * (len(trace.hits) + attacks)
    return estimate_cost(trace, scorings=scorings, rankings=reads)


def try_attacks(bench: Workbench, request: RedTeamRequest) -> RedTeam:
    """Raises InputError for an unknown passage, attack or defence."""
    find_passage(bench.trace, request.doc_id)
    attacks = _choose(ATTACKS, {CONTROL, *request.attacks}, "attack")
    defences = _choose(DEFENCES, set(request.defences), "defence")
    outcomes: list[AttackOutcome] = []
    for defence in defences:
        outcomes += _try_defence(bench, request, attacks, defence)
    return RedTeam(doc_id=request.doc_id, outcomes=tuple(outcomes))


def _try_defence(
    bench: Workbench, request: RedTeamRequest, attacks: Sequence[Attack], defence: Defence
) -> list[AttackOutcome]:
    before = _rank(bench, request, None, defence)
    text = find_passage(bench.trace, request.doc_id).text
    found: list[AttackOutcome] = []
    for attack in attacks:
        after = _rank(bench, request, attack, defence)
        attacked = attack.rewrite(bench.trace.query.text, text)
        control = found[0] if found else None
        rise = before.rank - after.rank
        rise_stage1 = (before.rank_stage1 or 0) - (after.rank_stage1 or 0)
        found.append(
            AttackOutcome(
                attack=attack.name,
                defence=defence.name,
                rank_before=before.rank,
                rank_after=after.rank,
                rank_stage1_before=before.rank_stage1,
                rank_stage1_after=after.rank_stage1,
                verdict_before=before.justification.verdict if before.justification else None,
                verdict_after=after.justification.verdict if after.justification else None,
                gain=rise - (control.rank_before - control.rank_after if control else rise),
                gain_stage1=rise_stage1 - (_rise_stage1(control) if control else rise_stage1),
                flagged=bool(find_suspicions(attacked, bench.trace.query.text)),
            )
        )
    return found


def _rise_stage1(outcome: AttackOutcome) -> int:
    return (outcome.rank_stage1_before or 0) - (outcome.rank_stage1_after or 0)


def _rank(
    bench: Workbench, request: RedTeamRequest, attack: Attack | None, defence: Defence
) -> RankedHit:
    query, settings = bench.trace.query.text, bench.trace.settings
    doc_id = request.doc_id
    if not request.stage2:
        settings = replace(settings, stages="1")
    if defence.grounding is not None:
        settings = replace(settings, grounding=defence.grounding)
    if not defence.guard:
        settings = replace(settings, guard=False)

    def rewrite(hit: Hit) -> Hit:
        text = hit.passage.text
        if attack is not None and hit.passage.doc_id == doc_id:
            text = attack.rewrite(query, text)
        return replace(hit, passage=replace(hit.passage, text=defence.clean(query, text)))

    trace = bench.rank(hits=[rewrite(hit) for hit in bench.trace.hits], settings=settings)
    what = attack.title if attack else "no attack"
    bench.tell(f"{what}, {defence.title}")
    return next(hit for hit in trace.ranked_hits() if hit.passage.doc_id == doc_id)


def _choose(known: Sequence[Attack | Defence], wanted: set[str], what: str) -> list[Any]:
    names = {one.name for one in known}
    if not wanted <= names:
        odd = sorted(wanted - names)[0]
        raise InputError(
            f"expected each {what} to be one of {', '.join(sorted(names))}, got {odd!r}; choose one"
        )
    return [one for one in known if one.name in wanted]


def summarize_attacks(teams: Iterable[RedTeam]) -> tuple[AttackRate, ...]:
    """Rates over all passages attacked, by defence and attack in the order first met."""
    groups: dict[tuple[str, str], list[AttackOutcome]] = defaultdict(list)
    for team in teams:
        for outcome in team.outcomes:
            groups[outcome.defence, outcome.attack].append(outcome)
    return tuple(
        AttackRate(
            attack=attack,
            defence=defence,
            tried=len(found),
            success=sum(o.succeeded for o in found) / len(found),
            success_stage1=sum(o.succeeded_stage1 for o in found) / len(found),
            gain=sum(o.gain for o in found) / len(found),
            gain_stage1=sum(o.gain_stage1 for o in found) / len(found),
            took_first=sum(o.took_first for o in found) / len(found),
            flagged=sum(o.flagged for o in found) / len(found),
        )
        for (defence, attack), found in groups.items()
    )
