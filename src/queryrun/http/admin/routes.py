"""The entries of `/admin/v1` in the route table."""

from __future__ import annotations

from queryrun.audit.model import AuditEvent
from queryrun.auth.model import Scope
from queryrun.http import parameters as p
from queryrun.http.admin import handlers as h
from queryrun.http.admin import limits, logins
from queryrun.http.admin.audit_log import list_audit
from queryrun.http.admin.nodes import list_nodes
from queryrun.http.operations import Handler, Operation, Parameter, RequestBody, ResponseDoc

TAG = "Administration"
ERRORS = (400, 401, 403, 404, 405, 429, 500, 502, 503, 504)
WRITING_ERRORS = (*ERRORS, 413, 415)
ADDITION = " An addition of this service."

TENANT_ID = Parameter(
    "tenant_id",
    "query",
    {"type": "string"},
    "The tenant; the client's own when absent. Another one needs the scope `admin:all`.",
)
CLIENT_ID = Parameter("client_id", "path", {"type": "string"}, "The client's id.", p.ID)
EVENT = Parameter(
    "event", "query", {"type": "string", "enum": list(AuditEvent)}, "Entries of this event alone."
)
SUBJECT = Parameter("subject", "query", {"type": "string"}, "Entries about what has this id alone.")
PAGE = (p.LIST_PAGE_SIZE, p.CURSOR)
CLIENT_LINKS: tuple[tuple[str, dict[str, object]], ...] = tuple(
    (
        operation[0].upper() + operation[1:],
        {"operationId": operation, "parameters": {"client_id": "$response.body#/id"}},
    )
    for operation in ("getClient", "changeClient", "rotateClient", "revokeClient")
)


def _list(
    path: str,
    name: str,
    handler: Handler,
    schema: str,
    text: str,
    parameters: tuple[Parameter, ...] = (),
) -> Operation:
    return Operation(
        "GET",
        f"/admin/v1/{path}",
        name,
        handler,
        Scope.ADMIN_READ,
        TAG,
        text,
        f"{text}.{ADDITION}",
        (*parameters, *p.EVERYWHERE),
        responses=(ResponseDoc(200, "They.", schema),),
        errors=ERRORS,
    )


def _change(
    path: str,
    name: str,
    handler: Handler,
    schema: str,
    text: str,
    description: str,
    body: RequestBody | None = None,
    parameters: tuple[Parameter, ...] = (),
    *,
    creates: bool = False,
) -> Operation:
    is_client = name == "createClient"
    headers, links = (("location",), CLIENT_LINKS) if is_client else ((), ())
    created = ResponseDoc(201, "Created.", schema, headers=headers, links=links)
    return Operation(
        "POST",
        f"/admin/v1/{path}",
        name,
        handler,
        Scope.ADMIN_WRITE,
        TAG,
        text,
        description + ADDITION,
        (*parameters, *p.EVERYWHERE),
        body,
        (*((created,) if creates else ()), ResponseDoc(200, "It is so.", schema)),
        WRITING_ERRORS,
    )


_NEW_CLIENT: dict[str, object] = {"name": "reports", "entities": ["main"], "scopes": ["read"]}

_NEW_LIMIT: dict[str, object] = {
    "level": "entity",
    "subject": p.ENTITY,
    "name": "read_bytes_per_day",
    "value": 10**12,
}

ADMIN_TABLE = (
    _list("tenants", "listTenants", h.list_tenants, "AdminTenants", "List tenants", PAGE),
    _change(
        "tenants",
        "createTenant",
        h.create_tenant,
        "AdminTenant",
        "Create a tenant",
        "Needs the scope `admin:all`. 200 when it exists.",
        RequestBody("application/json", "AdminNewTenant", (("one", {"name": "globex"}),)),
        creates=True,
    ),
    _list(
        "entities",
        "listEntities",
        h.list_entities,
        "AdminEntities",
        "List the entities of a tenant",
        (TENANT_ID, *PAGE),
    ),
    _change(
        "entities",
        "createEntity",
        h.create_entity,
        "AdminEntity",
        "Create an entity",
        "And its directories for files of embedded sources on this node. 200 when it exists.",
        RequestBody("application/json", "AdminNewEntity", (("one", {"name": "sales"}),)),
        creates=True,
    ),
    _list(
        "clients",
        "listClients",
        h.list_clients,
        "AdminClients",
        "List the clients of a tenant",
        (TENANT_ID, p.OF_ENTITY, *PAGE),
    ),
    _change(
        "clients",
        "createClient",
        h.create_new_client,
        "AdminIssuedClient",
        "Create a client",
        "Its secret is in this response and nowhere else. With an `id` of the caller's choice a "
        "repeat is a 200 without a secret; with another name or other entities it is a 400.",
        RequestBody("application/json", "AdminNewClient", (("one", _NEW_CLIENT),)),
        creates=True,
    ),
    _list(
        "clients/{client_id}",
        "getClient",
        h.get_client,
        "AdminClient",
        "Read a client",
        (CLIENT_ID,),
    ),
    _change(
        "clients/{client_id}/change",
        "changeClient",
        h.change_client,
        "AdminClient",
        "Change a client's scopes, orgs and expiry",
        "What is absent stays. Its tokens follow at once, on other nodes within a second. From "
        "`expires_time` on it counts as revoked; null: never.",
        RequestBody("application/json", "AdminChange", (("one", {"scopes": ["read"]}),)),
        (CLIENT_ID,),
    ),
    _change(
        "clients/{client_id}/rotate",
        "rotateClient",
        h.rotate_client,
        "AdminIssuedClient",
        "Give a client a new secret",
        "Secrets before stay valid for `grace_s`, those of earlier rotations until their own end "
        "if that is sooner: a repeat ends none that is in use. Tokens stay valid.",
        RequestBody("application/json", "AdminRotate", (("one", {"grace_s": 3600}),)),
        (CLIENT_ID,),
    ),
    _change(
        "clients/{client_id}/revoke",
        "revokeClient",
        h.revoke,
        "AdminClient",
        "Revoke a client",
        "Its secrets and tokens at once, for good; its runs are canceled. A body is ignored.",
        parameters=(CLIENT_ID,),
    ),
    _list(
        "logins",
        "listLogins",
        logins.list_logins,
        "AdminLogins",
        "List the logins at the issuer that were revoked",
        (TENANT_ID, *PAGE),
    ),
    _change(
        "logins/revoke",
        "revokeLogin",
        logins.revoke_login,
        "AdminLogin",
        "Revoke a login at the issuer",
        "Of its tokens none is taken in this tenant any more, on other nodes within a second; its "
        "runs are canceled, and its webhooks are told nothing.",
        RequestBody("application/json", "AdminLoginOf", (("one", {"subject": "auth0|7"}),)),
    ),
    _change(
        "logins/allow",
        "allowLogin",
        logins.allow_login,
        "AdminLogin",
        "Allow a login that was revoked",
        "Tokens count again that the issuer issues from now on (`iat`), those from before do not.",
        RequestBody("application/json", "AdminLoginOf", (("one", {"subject": "auth0|7"}),)),
    ),
    _list("nodes", "listNodes", list_nodes, "AdminNodes", "List the live nodes"),
    _list(
        "audit",
        "listAudit",
        list_audit,
        "AdminAuditEntries",
        "List entries of the audit log, newest first",
        (TENANT_ID, EVENT, SUBJECT, p.OF_CLIENT, *PAGE),
    ),
    _list(
        "limits",
        "listLimits",
        limits.list_limits,
        "AdminLimits",
        "List the limits that were set",
        (TENANT_ID, *PAGE),
    ),
    _change(
        "limits",
        "setLimit",
        limits.set_limit,
        "AdminLimit",
        "Set or remove a limit",
        "Of a tenant or a source with `admin:all` alone. Without a `value` it is removed. It holds "
        "on every node within a second; what queryrun.toml sets beside it counts where it is less.",
        RequestBody("application/json", "AdminNewLimit", (("one", _NEW_LIMIT),)),
    ),
    _list("sources", "listSources", h.list_sources, "AdminSources", "List sources and limits"),
    _list(
        "runs",
        "listRunning",
        h.list_running,
        "AdminRuns",
        "List statements that run or wait",
        (TENANT_ID, p.OF_ENTITY, p.OF_CLIENT, *PAGE),
    ),
    _change(
        "runs/{query_run_id}/stop",
        "stopRun",
        h.stop_run,
        "AdminRun",
        "Stop a run",
        "Of any client, with the reason `admin`. Waits up to a second for the confirmation that "
        "the engine has stopped; until then the state is `in_progress`. A run that has finished "
        "stays as it is. A body is ignored.",
        parameters=(p.QUERY_RUN_ID,),
    ),
)
