"""The handlers of `/admin/v1`. Each change is in the audit log before it is made."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

from msgspec import UnsetType
from starlette.responses import Response

from queryrun.audit.model import AuditEvent
from queryrun.auth.clients import (
    DEFAULT_SCOPES,
    ClientOptions,
    check_orgs,
    create_client,
    revoke_client,
    rotate_secret,
)
from queryrun.auth.model import Client, Entity, IssuedSecret, Principal, Scope, Tenant
from queryrun.errors import Forbidden, InvalidRequest, NotFound, Unavailable
from queryrun.http.admin import bodies as b
from queryrun.http.admin.access import (
    changeable_client,
    client_for,
    entities_of,
    has_all,
    tenant_of,
)
from queryrun.http.audit import record
from queryrun.http.context import AppContext
from queryrun.http.request import ApiRequest
from queryrun.http.responses import JsonResponse
from queryrun.http.signed_cursor import write_signed
from queryrun.http.times import iso, utc
from queryrun.runs.cancel import cancel
from queryrun.runs.model import Run
from queryrun.runs.revoke import cancel_runs_of
from queryrun.runs.state import HELD, RunState
from queryrun.runs.store import RunQuery

NO_STORE = {"cache-control": "no-store"}


# --- tenants and entities -------------------------------------------------------------------


async def list_tenants(app: AppContext, request: ApiRequest) -> Response:
    """Its own tenant; every one with `admin:all`."""
    own = request.principal.tenant_id
    found = [one for one in await app.auth.tenants() if has_all(request.principal) or one.id == own]
    page, next_page = b.paged(app, request, found, lambda one: one.id, f"tenants {own}")
    return JsonResponse({"next_page": next_page, "data": [_tenant(one) for one in page]})


async def create_tenant(app: AppContext, request: ApiRequest) -> Response:
    """201, or 200 when there is a tenant of this name: a repeat changes nothing."""
    if not has_all(request.principal):
        raise Forbidden("tenants are made by a client with the scope 'admin:all'")
    name = _name((await b.body_of(app, request, b.TenantBody)).name)
    tenant = Tenant(name, name)
    if tenant.id in {one.id for one in await app.auth.tenants()}:
        return JsonResponse(_tenant(tenant))
    await record(app, request, AuditEvent.TENANT_CREATED, tenant.id)
    await app.auth.add_tenant(tenant.id, tenant.name)
    return JsonResponse(_tenant(tenant), 201)


async def list_entities(app: AppContext, request: ApiRequest) -> Response:
    """The tenant's entities, by name."""
    tenant_id = await tenant_of(app, request, request.query_value("tenant_id"))
    found = await entities_of(app, tenant_id)
    page, next_page = b.paged(app, request, found, lambda one: one.name, f"entities {tenant_id}")
    return JsonResponse({"next_page": next_page, "data": [_entity(one) for one in page]})


async def create_entity(app: AppContext, request: ApiRequest) -> Response:
    """201, or 200 when the tenant has one of this name: a repeat changes nothing."""
    body = await b.body_of(app, request, b.EntityBody)
    tenant_id, name = await tenant_of(app, request, body.tenant_id), _name(body.name)
    for other in await app.auth.entities():
        if other.name.lower() == name.lower():
            return JsonResponse(_entity(_same_entity(other, tenant_id, name)))
    entity = Entity(str(uuid4()), tenant_id, name)
    await record(app, request, AuditEvent.ENTITY_CREATED, entity.id, name=name, tenant=tenant_id)
    made = _same_entity(await app.auth.add_entity(entity), tenant_id, name)
    app.prepare_entity(made.name)
    return JsonResponse(_entity(made), 201)


# --- clients --------------------------------------------------------------------------------


async def list_clients(app: AppContext, request: ApiRequest) -> Response:
    """The tenant's clients, oldest first; revoked ones too."""
    tenant_id = await tenant_of(app, request, request.query_value("tenant_id"))
    entity_id = b.id_filter(request, "entity_id")
    found = [
        one
        for one in await app.auth.clients()
        if one.tenant_id == tenant_id
        and (entity_id is None or entity_id in {entity.id for entity in one.entities})
    ]
    listed = f"clients {tenant_id} {entity_id}"
    page, next_page = b.paged(app, request, found, _age, listed)
    return JsonResponse({"next_page": next_page, "data": [_client(one) for one in page]})


async def get_client(app: AppContext, request: ApiRequest) -> Response:
    """One client; never its secret."""
    return JsonResponse(_client(await client_for(app, request)))


async def create_new_client(app: AppContext, request: ApiRequest) -> Response:
    """The client and its secret, which is shown only here. With an `id` that this tenant has used,
    200 and the client without a secret: a repeat changes nothing."""
    body = await b.body_of(app, request, b.ClientBody)
    tenant_id = await tenant_of(app, request, body.tenant_id)
    options = ClientOptions(
        _client_name(body.name),
        _named(await entities_of(app, tenant_id), body.entities),
        frozenset(DEFAULT_SCOPES if body.scopes is None else body.scopes),
        _orgs(body.org_ids),
        b.check_id(body.id) if body.id is not None else str(uuid4()),
        None if body.expires_time is None else utc(body.expires_time, "expires_time"),
    )
    _check_scopes(request.principal, options.scopes)
    if body.id is not None and (known := await app.auth.client(options.id)) is not None:
        return JsonResponse(_client(_same(known, tenant_id, options)))
    await record(
        app,
        request,
        AuditEvent.CLIENT_CREATED,
        options.id,
        name=options.name,
        tenant=tenant_id,
        entities=[entity.name for entity in options.entities],
        scopes=sorted(options.scopes),
        orgs=list(options.org_ids),
        expires_time=None if options.expires_time is None else iso(options.expires_time),
    )
    try:
        issued = await create_client(app.auth, options, app.now)
    except InvalidRequest:
        if body.id is None or (known := await app.auth.client(options.id)) is None:
            raise
        return JsonResponse(_client(_same(known, tenant_id, options)))  # it came twice at once
    location = {"location": f"/admin/v1/clients/{options.id}"}
    return JsonResponse(_issued(issued), 201, NO_STORE | location)


async def rotate_client(app: AppContext, request: ApiRequest) -> Response:
    """A new secret, shown only here. The one before stays valid for `grace_s`."""
    body = await b.body_of(app, request, b.RotateBody, default="{}")
    if not 0 <= body.grace_s <= b.MAX_GRACE_S:
        message = f"'grace_s' must be from 0 to {b.MAX_GRACE_S:.0f} seconds"
        raise InvalidRequest.of("grace_s", message)
    client = await changeable_client(app, request)
    if client.revoked_time is not None:
        raise NotFound("client_id", "the client was revoked, for good; create another")
    event = AuditEvent.CLIENT_SECRET_ROTATED
    await record(app, request, event, client.id, grace_s=body.grace_s)
    issued = await rotate_secret(app.auth, client.id, app.now, grace_s=body.grace_s)
    return JsonResponse(_issued(issued), headers=NO_STORE)


async def change_client(app: AppContext, request: ApiRequest) -> Response:
    """Change scopes, orgs and expiry. Its tokens follow at once. A repeat changes nothing, and of
    changes at the same time none is lost."""
    body = await b.body_of(app, request, b.ChangeBody)
    for _ in range(b.MAX_ATTEMPTS):
        client = await changeable_client(app, request)
        changed = _changed(request, client, body)
        if changed == client:
            return JsonResponse(_client(client))
        if client.revoked_time is not None:
            raise NotFound("client_id", "the client was revoked, for good; create another")
        check_orgs(changed)
        await record(
            app,
            request,
            AuditEvent.CLIENT_CHANGED,
            client.id,
            scopes=sorted(changed.scopes),
            orgs=list(changed.org_ids),
            expires_time=None if changed.expires_time is None else iso(changed.expires_time),
        )
        if await app.auth.change_client(changed, before=client):
            return JsonResponse(_client(await client_for(app, request)))
    raise Unavailable("others change this client at the same time; try again")


def _changed(request: ApiRequest, client: Client, body: b.ChangeBody) -> Client:
    """The client with what the body names."""
    if not isinstance(body.scopes, UnsetType):
        scopes = frozenset(body.scopes)
        _check_scopes(request.principal, scopes)
        client = replace(client, scopes=scopes)
    if not isinstance(body.org_ids, UnsetType):
        client = replace(client, org_ids=_orgs(body.org_ids))
    if not isinstance(body.expires_time, UnsetType):
        until = body.expires_time
        client = replace(client, expires_time=None if until is None else utc(until, "expires_time"))
    return client


async def revoke(app: AppContext, request: ApiRequest) -> Response:
    """Revoke the client, its secrets and tokens; cancel its runs. A repeat is a 200 too."""
    client = await changeable_client(app, request)
    if client.revoked_time is None:
        await record(app, request, AuditEvent.CLIENT_REVOKED, client.id)
        await revoke_client(app.auth, client.id, app.now)
    for run in await cancel_runs_of(app.runs.store, client.tenant_id, client.id):
        app.runs.notifier.publish(run)
    return JsonResponse(_client(await client_for(app, request)))


# --- sources and running statements ---------------------------------------------------------


async def list_sources(app: AppContext, _request: ApiRequest) -> Response:
    """The sources as this node sees them, and their limits. 0 is no limit."""
    data = []
    for name, policy in app.runs.sources.items():
        reason = app.runs.unavailable_reason(name)
        data.append(
            {
                "name": name,
                "dialect": policy.dialect,
                "is_default": name == app.runs.default_source,
                "available": reason is None,
                "unavailable_reason": reason,
                "limits": {
                    "running_per_tenant": policy.running_per_tenant,
                    "running_per_entity": policy.running_per_entity,
                    "running_per_client": policy.running_per_client,
                    "queued_per_entity": policy.queue.per_entity,
                    "queued_per_client": policy.queue.per_client,
                    "output_rows": policy.max_output_rows,
                    "output_bytes": policy.max_output_bytes,
                    "time_s": policy.time_limit_s,
                },
            }
        )
    return JsonResponse({"data": data})


async def list_running(app: AppContext, request: ApiRequest) -> Response:
    """The tenant's statements that run or wait, oldest first; never their text."""
    tenant_id = await tenant_of(app, request, request.query_value("tenant_id"))
    states = frozenset({RunState.ACCEPTED, *HELD})
    query = RunQuery(
        tenant_id,
        entity_id=b.id_filter(request, "entity_id"),
        client_id=b.id_filter(request, "client_id"),
        states=states,
        oldest_first=True,
        limit=b.page_size(request),
    )
    listed = f"running {tenant_id} {query.entity_id} {query.client_id}"
    if (after := b.cursor_of(app, request, listed)) is not None:
        created_ms, number = after.split(" ")
        query = replace(query, after=(int(created_ms), int(number)))
    page = await app.runs.store.find(query)
    next_page = None
    if page.next_after is not None:
        position = f"{page.next_after[0]} {page.next_after[1]}"
        next_page = write_signed(position.encode(), listed, app.link_secret)
    return JsonResponse({"next_page": next_page, "data": [_running(run) for run in page.runs]})


async def stop_run(app: AppContext, request: ApiRequest) -> Response:
    """Cancel a run of any client of the tenant, with the reason `admin`. One that has finished is
    returned as it is: a repeat changes nothing."""
    run_id = request.path_params["query_run_id"]
    run = await app.runs.store.get(run_id.lower())
    who = request.principal
    is_own = run is not None and (has_all(who) or run.request.tenant_id == who.tenant_id)
    if run is None or not is_own:
        raise NotFound("query_run_id", f"Query run {run_id[:64]!r} could not be found")
    if run.state.is_terminal:
        return JsonResponse(_running(run))
    acting = Principal(
        run.request.tenant_id,
        who.client_id,
        run.request.entity_id,
        frozenset({Scope.TENANT_ADMIN}),
    )
    return JsonResponse(_running(await cancel(app.runs, acting, run.id, origin=request.origin)))


# --- what is given --------------------------------------------------------------------------


def _name(text: str) -> str:
    if re.fullmatch(b.NAME, text) is None:
        message = "'name' must have 1 to 63 letters, digits, '_' or '-', a letter or digit first"
        raise InvalidRequest.of("name", message)
    return text


def _client_name(text: str) -> str:
    name = text.strip()
    if not 1 <= len(name) <= b.MAX_NAME_CHARS or not name.isprintable():
        message = f"'name' must have 1 to {b.MAX_NAME_CHARS} printable characters"
        raise InvalidRequest.of("name", message)
    return name


def _same_entity(known: Entity, tenant_id: str, name: str) -> Entity:
    """The entity that has this name, if it is the one that is meant."""
    if (known.tenant_id, known.name) != (tenant_id, name):
        message = "entities are directories, and this name is taken: choose another"
        raise InvalidRequest.of("name", message)
    return known


def _same(known: Client, tenant_id: str, options: ClientOptions) -> Client:
    """The client that a repeat has created before. Its scopes, orgs and expiry may have changed
    since; another name or other entities are another client's."""
    same = (known.tenant_id, known.name, set(known.entities))
    if same != (tenant_id, options.name, set(options.entities)):
        raise InvalidRequest.of("id", "'id' is taken by another client: choose another")
    return known


def _check_scopes(principal: Principal, scopes: frozenset[Scope]) -> None:
    if Scope.ADMIN_ALL in scopes and not has_all(principal):
        raise Forbidden("the scope 'admin:all' is given by a client that has it")
    if not scopes:
        raise InvalidRequest.of("scopes", "'scopes' must name at least one")


def _named(known: Sequence[Entity], names: Sequence[str]) -> tuple[Entity, ...]:
    """The tenant's entities with these names or ids, each once."""
    by_name = {one.name: one for one in known} | {one.id: one for one in known}
    missing = [name for name in names if name not in by_name]
    if missing or not names:
        message = "'entities' must name entities of the tenant, at least one"
        raise InvalidRequest.of("entities", message)
    return tuple(dict.fromkeys(by_name[name] for name in names))


def _orgs(names: Sequence[str]) -> tuple[str, ...]:
    if any(not name.strip() or "," in name or not name.isprintable() for name in names):
        raise InvalidRequest.of("org_ids", "'org_ids' must be texts without commas")
    return tuple(dict.fromkeys(name.strip() for name in names))


# --- what is returned -----------------------------------------------------------------------


def _tenant(tenant: Tenant) -> dict[str, object]:
    return {"id": tenant.id, "name": tenant.name}


def _entity(entity: Entity) -> dict[str, object]:
    return {"id": entity.id, "tenant_id": entity.tenant_id, "name": entity.name}


def _age(client: Client) -> str:
    """Clients in the order of their creation."""
    return f"{iso(client.created_time)} {client.id}"


def _client(client: Client) -> dict[str, object]:
    return {
        "id": client.id,
        "tenant_id": client.tenant_id,
        "name": client.name,
        "entities": [_entity(entity) for entity in client.entities],
        "scopes": sorted(client.scopes),
        "org_ids": list(client.org_ids),
        "created_time": iso(client.created_time),
        "revoked_time": None if client.revoked_time is None else iso(client.revoked_time),
        "expires_time": None if client.expires_time is None else iso(client.expires_time),
    }


def _issued(issued: IssuedSecret) -> dict[str, object]:
    return {**_client(issued.client), "secret": issued.secret}


def _running(run: Run) -> dict[str, object]:
    return {
        "id": run.id,
        "entity_id": run.request.entity_id,
        "client_id": run.request.client_id,
        "source": run.request.source,
        "state": run.state.public.value,
        "created_time": iso(run.created_time),
        "started_time": None if run.started_time is None else iso(run.started_time),
        "tags": dict(run.request.tags),
    }
