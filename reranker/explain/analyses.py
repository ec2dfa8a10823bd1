"""Every analysis of one ranking by its request: what it costs, what runs it, what it is kept under.

Takes a trace and a request, returns a cost, a result or a key. Knows no student; the workbench
that is handed in does. Results are kept in memory, the latest of them, by everything they depend
on: the trace but for its timings, and the request.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from reranker.explain.attribution import (
    Attribution,
    AttributionRequest,
    attribute_score,
    estimate_attribution,
)
from reranker.explain.cost import Cost
from reranker.explain.counterfactual import Counterfactual, EditRequest, estimate_edit, try_edit
from reranker.explain.faithfulness import (
    FaithfulnessReport,
    FaithfulnessRequest,
    check_faithfulness,
    estimate_faithfulness,
)
from reranker.explain.flip import Flip, FlipRequest, estimate_flip, find_flip
from reranker.explain.red_team import RedTeam, RedTeamRequest, estimate_red_team, try_attacks
from reranker.explain.stability import (
    Stability,
    StabilityRequest,
    estimate_stability,
    measure_stability,
)
from reranker.trace import dump_trace
from reranker.types import RankingTrace

if TYPE_CHECKING:
    from reranker.explain.workbench import Workbench

Request = (
    AttributionRequest
    | EditRequest
    | FlipRequest
    | FaithfulnessRequest
    | StabilityRequest
    | RedTeamRequest
)
Result = Attribution | Counterfactual | Flip | FaithfulnessReport | Stability | RedTeam

_ESTIMATES: dict[type, Any] = {
    AttributionRequest: estimate_attribution,
    EditRequest: estimate_edit,
    FlipRequest: estimate_flip,
    FaithfulnessRequest: estimate_faithfulness,
    StabilityRequest: estimate_stability,
    RedTeamRequest: estimate_red_team,
}
_RUNS: dict[type, Any] = {
    AttributionRequest: attribute_score,
    EditRequest: try_edit,
    FlipRequest: find_flip,
    FaithfulnessRequest: check_faithfulness,
    StabilityRequest: measure_stability,
    RedTeamRequest: try_attacks,
}


def estimate_request(trace: RankingTrace, request: Request) -> Cost:
    """What the analysis will take. Raises InputError where it cannot be asked of this trace."""
    cost: Cost = _ESTIMATES[type(request)](trace, request)
    return cost


def run_request(bench: Workbench, request: Request) -> Result:
    """Raises InputError and what ranking raises; CancelledError when stopped."""
    bench.total = estimate_request(bench.trace, request).steps
    result: Result = _RUNS[type(request)](bench, request)
    return result


def hash_request(trace: RankingTrace, request: Request) -> str:
    """SHA-256 over everything a result depends on."""
    plain = replace(trace, timings=(), created="")
    body = TypeAdapter(type(request)).dump_json(request)
    name = type(request).__name__.encode()
    return hashlib.sha256(b"\n".join([dump_trace(plain).encode(), name, body])).hexdigest()


class ResultShelf:
    """The latest results by `hash_request`. Safe to use from several threads."""

    def __init__(self, limit: int = 32) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._found: OrderedDict[str, Result] = OrderedDict()

    def find(self, key: str) -> Result | None:
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
            return self._found.get(key)

    def keep(self, key: str, result: Result) -> None:
        with self._lock:
            self._found[key] = result
            while len(self._found) > self._limit:
                self._found.popitem(last=False)
