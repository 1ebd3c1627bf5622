"""The nodes of the installation, for administrators."""

from __future__ import annotations

from starlette.responses import Response

from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse
from queryrun.runs.cluster import NodeFacts


async def list_nodes(app: AppContext, _request: ApiRequest) -> Response:
    """The live nodes, the one that answers first. What they say of themselves is a few seconds old;
    a node that died is in the list for up to 35."""
    nodes = app.nodes()
    return JsonResponse({"data": [_node(one, is_self=one is nodes[0]) for one in nodes]})


def _node(facts: NodeFacts, *, is_self: bool) -> dict[str, object]:
    return {
        "name": facts.node,
        "is_self": is_self,
        "is_worker": facts.is_worker,
        "sources": sorted(facts.sources),
        "slots": facts.slots,
        "version": facts.version,
    }
