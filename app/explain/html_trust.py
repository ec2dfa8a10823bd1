"""HTML of how far a ranking can be trusted: stability, faithfulness, red team.

Takes results of analyses, returns HTML strings; escapes by app/html.py. Knows no component.
"""

from __future__ import annotations

from app.explain.html import open_table
from app.facts import VERDICT_WORDS
from app.html import escape
from app.messages import count
from reranker.explain.attacks import ATTACKS, CONTROL, DEFENCES
from reranker.explain.faithfulness import EvidenceCheck, FaithfulnessReport
from reranker.explain.red_team import AttackOutcome, RedTeam
from reranker.explain.stability import Stability
from reranker.types import Verdict

STRONG_BIAS = 0.3
SHOWN_CONTRADICTIONS = 10


def render_stability(found: Stability) -> str:
    """The sentence, then every passage's spread and the order all readings agree on."""
    wide = [spread for spread in found.spreads if spread.low < spread.high]
    bias = (
        "The reader follows the place a passage is shown at"
        if found.bias > STRONG_BIAS
        else "The reader turns against the place a passage is shown at"
        if found.bias < -STRONG_BIAS
        else "Where a passage is shown hardly matters"
    )
    seeds = {
        None: "",
        True: " Every decoding seed gave the same.",
        False: " Decoding seeds gave different orders.",
    }[found.seeds_agree]
    rows = "".join(
        f'<tr><th scope="row">{escape(s.doc_id)}</th><td class="number">{s.rank}</td>'
        f'<td class="number">{s.low}–{s.high}</td><td class="number">{s.mean:.1f}</td>'
        f'<td class="number">{s.rank_agreed}</td></tr>'
        for s in found.spreads
    )
    return (
        f'<section class="exp-trust" aria-label="Stability"><p><b>{len(wide)} of '
        f"{count(len(found.spreads), 'passage')}</b> changed rank over "
        f"{count(found.agreed_readings, 'reading')} of shuffled lists; "
        f"{found.same_top:.0%} of them put the same passage first. Two readings order two "
        f"passages alike in {found.pairwise:.1%} of cases (50 % is chance). {bias} (Spearman ρ "
        f"{found.bias:+.2f} between place shown and rank).{seeds}</p>"
        "<details data-key='spreads'><summary>Every passage's ranks and the agreed order</summary>"
        f"{open_table('Rank intervals')}<thead><tr><th scope='col'>passage</th>"
        '<th scope="col" class="number">stage 2</th><th scope="col" class="number">lowest–highest'
        '</th><th scope="col" class="number">mean</th><th scope="col" class="number">agreed order'
        f"</th></tr></thead><tbody>{rows}</tbody></table></div>"
        '<p class="note">Agreed order: permutation self-consistency, the order that disagrees '
        f"least with all readings. It cost {found.seconds:.1f} s of reading beside the ranking’s "
        "own.</p></details>"
        "</section>"
    )


def render_faithfulness(found: FaithfulnessReport) -> str:
    """Means, contradictions, then one line a passage."""
    means = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{value:.2f}</dd></div>"
        for name, value in found.summarize().items()
    )
    return (
        f'<section class="exp-trust" aria-label="Faithfulness"><dl class="exp-means">{means}</dl>'
        '<p class="note">In logits of stage 1. Comprehensiveness: lost without the quoted words; '
        "sufficiency: lost when they alone stay. Random: runs of as many words of the same "
        "passage; a quote that beats few of them is not what the score rests on.</p>"
        f"{_render_contradictions(found)}{_render_checks(found)}</section>"
    )


def _render_contradictions(found: FaithfulnessReport) -> str:
    if not found.pairs:
        return "<p>No two passages have different verdicts.</p>"
    if not found.contradictions:
        return f"<p>All {found.pairs} pairs with different verdicts stand in their order.</p>"
    rows = "".join(
        f"<li>{escape(c.above)} ({VERDICT_WORDS[c.verdict_above]}) stands above "
        f"{escape(c.below)} ({VERDICT_WORDS[c.verdict_below]})</li>"
        for c in found.contradictions[:SHOWN_CONTRADICTIONS]
    )
    return (
        f"<p><b>{len(found.contradictions)} of {found.pairs}</b> pairs with different verdicts "
        f"stand the wrong way round, the worst first:</p><ul>{rows}</ul>"
    )


def _render_checks(found: FaithfulnessReport) -> str:
    again = any(check.reread for check in found.checks)
    heads = [
        "passage", "verdict", "quotes found", "lost without them", "random", "lost with them alone",
        "random", "random beaten", *(["read again without them"] if again else []),
    ]  # fmt: skip
    head = "".join(
        f'<th scope="col"{" class=number" if place > 1 else ""}>{name}</th>'
        for place, name in enumerate(heads)
    )
    rows = "".join(_render_check(check, again) for check in found.checks)
    return (
        f"{open_table('Faithfulness by passage')}<thead><tr>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div>"
    )


def _render_check(check: EvidenceCheck, again: bool) -> str:
    quotes = f"{check.normalized} of {check.normalized + check.missing}"
    cells = [
        _number(check.comprehensiveness),
        _number(check.random_comprehensiveness),
        _number(check.sufficiency),
        _number(check.random_sufficiency),
        "–" if check.beaten is None else f"{check.beaten:.0%}",
    ]
    reread = check.reread
    if again:
        cells.append(
            "–"
            if reread is None
            else f"rank {check.rank} → {reread.rank} ({_name(reread.verdict)}); without other "
            f"words → {reread.rank_random} ({_name(reread.verdict_random)})"
        )
    shown = "".join(f'<td class="number">{cell}</td>' for cell in cells)
    return (
        f'<tr><th scope="row">{check.rank}. {escape(check.doc_id)}</th>'
        f'<td>{_name(check.verdict)}</td><td class="number">{quotes}</td>{shown}</tr>'
    )


def _name(verdict: Verdict | None) -> str:
    return VERDICT_WORDS[verdict] if verdict else "no verdict"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def render_red_team(found: RedTeam) -> str:
    """Attacks down, defences across: places won beyond the control, in both stages."""
    defences = list(dict.fromkeys(outcome.defence for outcome in found.outcomes))
    titles = {defence.name: defence.title for defence in DEFENCES}
    attacks = [a for a in ATTACKS if any(o.attack == a.name for o in found.outcomes)]
    by_place = {(o.attack, o.defence): o for o in found.outcomes}
    head = "".join(f'<th scope="col">{escape(titles[name])}</th>' for name in defences)
    rows = "".join(
        f'<tr><th scope="row">{escape(attack.title)}<small>{escape(attack.shows)}</small></th>'
        + "".join(_render_outcome(by_place[attack.name, name]) for name in defences)
        + "</tr>"
        for attack in attacks
    )
    tried = [o for o in found.outcomes if o.attack != CONTROL]
    won, unseen = (
        [o for o in tried if o.succeeded],
        [o for o in tried if o.succeeded and not o.flagged],
    )
    return (
        f'<section class="exp-trust" aria-label="Red team"><p><b>{len(won)} of '
        f"{count(len(tried), 'attack')}</b> moved {escape(found.doc_id)} up further than a "
        f"harmless sentence does; {len(unseen)} of these raise no flag in an ordinary ranking.</p>"
        f"{open_table('Attacks and defences')}<thead><tr><th scope='col'>attack</th>{head}</tr>"
        f"</thead><tbody>{rows}</tbody></table></div>"
        '<p class="note">Each cell: final rank before → after, then stage 1’s. A defence is '
        "applied to every passage, so its ranks before may differ.</p></section>"
    )


def _render_outcome(outcome: AttackOutcome) -> str:
    is_control = outcome.attack == CONTROL
    word = "control" if is_control else "succeeded" if outcome.succeeded else "held"
    css = "loss" if word == "succeeded" else ""
    flag = "flagged" if outcome.flagged else "not flagged"
    stage1 = (
        f"stage 1: {outcome.rank_stage1_before} → {outcome.rank_stage1_after}"
        if outcome.rank_stage1_after
        else ""
    )
    told = word if is_control else f"{word}, {flag}"
    return (
        f'<td><span class="cmp-delta {css}">{outcome.rank_before} → {outcome.rank_after}</span> '
        f"{told}<small>{stage1}</small></td>"
    )
