"""The bodies of `/admin/v1` in the OpenAPI document."""

from __future__ import annotations

from queryrun.audit.model import AuditEvent
from queryrun.auth.model import Scope
from queryrun.auth.oidc_rules import MAX_SUBJECT_CHARS
from queryrun.http.admin.bodies import MAX_GRACE_S, MAX_NAME_CHARS, NAME, ORG
from queryrun.http.shapes import Schema, reference, whole_object
from queryrun.http.times import FAR_FUTURE, FAR_PAST
from queryrun.runs.limits import LIMITS, MAX_VALUE, Level, Period

_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_TIME_OR_NULL: Schema = {"type": ["string", "null"], "format": "date-time"}
_EXPIRES: Schema = {
    **_TIME_OR_NULL,
    "description": f"Counts as revoked from then on, in {FAR_PAST.year} to {FAR_FUTURE.year - 1}; "
    "null: never.",
}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NAME: Schema = {"type": "string", "pattern": NAME}
_SCOPES: Schema = {"type": "array", "items": {"type": "string", "enum": list(Scope)}}
_TEXTS: Schema = {"type": "array", "items": _TEXT}
_ORGS: Schema = {"type": "array", "items": {**_TEXT, "pattern": ORG}}


def _page(name: str) -> Schema:
    items: Schema = {"type": "array", "items": reference(name)}
    next_page: Schema = {
        "type": ["string", "null"],
        "description": "The `cursor` of the next page; null on the last.",
    }
    return whole_object({"next_page": next_page, "data": items}, "A page.")


_CLIENT: Schema = {
    "id": _TEXT,
    "tenant_id": _TEXT,
    "name": _TEXT,
    "entities": {"type": "array", "items": reference("AdminEntity")},
    "scopes": _SCOPES,
    "org_ids": _TEXTS,
    "created_time": _TIME,
    "revoked_time": _TIME_OR_NULL,
    "expires_time": _TIME_OR_NULL,
}
_LIMITS: Schema = {
    **dict.fromkeys(
        (
            *("running_per_tenant", "running_per_entity", "running_per_client"),
            *("queued_per_entity", "queued_per_client", "output_rows", "output_bytes"),
        ),
        _COUNT,
    ),
    "time_s": {"type": "number", "minimum": 0},
}

_LIMIT: Schema = {
    "level": {"type": "string", "enum": list(Level)},
    "subject": {**_TEXT, "description": "A tenant, an id of an entity or client, or a source."},
    "name": {"type": "string", "enum": list(LIMITS)},
    "unit": _TEXT,
    "period": {"type": "string", "enum": list(Period)},
    "value": {"type": ["integer", "null"], "minimum": 0, "maximum": MAX_VALUE},
}

ADMIN_SCHEMAS: dict[str, Schema] = {
    "AdminTenant": whole_object({"id": _TEXT, "name": _TEXT}, "A tenant."),
    "AdminTenants": _page("AdminTenant"),
    "AdminEntity": whole_object({"id": _TEXT, "tenant_id": _TEXT, "name": _TEXT}, "An entity."),
    "AdminEntities": _page("AdminEntity"),
    "AdminClient": whole_object(_CLIENT, "A client; never its secret."),
    "AdminClients": _page("AdminClient"),
    "AdminIssuedClient": whole_object(
        {**_CLIENT, "secret": {**_TEXT, "description": "Shown only here."}},
        "A client and its new secret, which a repeat of the creation does not have.",
        "secret",
    ),
    "AdminSources": whole_object(
        {
            "data": {
                "type": "array",
                "items": whole_object(
                    {
                        "name": _TEXT,
                        "dialect": _TEXT,
                        "is_default": {"type": "boolean"},
                        "available": {"type": "boolean"},
                        "unavailable_reason": {"type": ["string", "null"]},
                        "limits": whole_object(_LIMITS, "Limits; 0 is none."),
                    },
                    "A source as this node sees it.",
                ),
            }
        },
        "The sources.",
    ),
    "AdminNode": whole_object(
        {
            "name": _TEXT,
            "is_self": {
                "type": "boolean",
                "description": "Whether this is the node that responds.",
            },
            "is_worker": {"type": "boolean", "description": "Whether it runs statements."},
            "sources": _TEXTS,
            "slots": _COUNT,
            "version": _TEXT,
        },
        "A live node: it has said so within the last 35 seconds.",
    ),
    "AdminNodes": whole_object(
        {"data": {"type": "array", "items": reference("AdminNode")}}, "The live nodes."
    ),
    "AdminAuditEntry": whole_object(
        {
            "position": _COUNT,
            "time": _TIME,
            "event": {"type": "string", "enum": list(AuditEvent)},
            **dict.fromkeys(
                ("tenant_id", "entity_id", "client_id", "subject", "remote_address"), _TEXT
            ),
            "detail": {"type": "object"},
        },
        "An entry of the audit log.",
    ),
    "AdminAuditEntries": _page("AdminAuditEntry"),
    "AdminLimit": whole_object(_LIMIT, "A limit."),
    "AdminLimits": _page("AdminLimit"),
    "AdminNewLimit": whole_object(
        {name: _LIMIT[name] for name in ("level", "subject", "name", "value")},
        "A limit to set.",
        "value",
    ),
    "AdminRun": whole_object(
        {
            "id": _TEXT,
            "entity_id": _TEXT,
            "client_id": _TEXT,
            "source": _TEXT,
            "state": _TEXT,
            "created_time": _TIME,
            "started_time": _TIME_OR_NULL,
            "tags": {"type": "object", "additionalProperties": _TEXT},
        },
        "A run, without its statement.",
    ),
    "AdminRuns": _page("AdminRun"),
    "AdminLogin": whole_object(
        {
            "subject": {**_TEXT, "description": "The `sub` of its tokens."},
            "client_id": {**_TEXT, "description": "What its runs have as `created_by_id`."},
            "tenant_id": _TEXT,
            "revoked_time": _TIME,
            "allowed_time": {
                **_TIME_OR_NULL,
                "description": "Tokens that were issued from then on count; null: none does.",
            },
        },
        "A login at another issuer that was revoked in a tenant.",
    ),
    "AdminLogins": _page("AdminLogin"),
    "AdminLoginOf": whole_object(
        {
            "subject": {"type": "string", "minLength": 1, "maxLength": MAX_SUBJECT_CHARS},
            "tenant_id": {"type": ["string", "null"]},
        },
        "Whose login is meant.",
        "tenant_id",
    ),
    "AdminNewTenant": whole_object({"name": _NAME}, "A new tenant."),
    "AdminNewEntity": whole_object(
        {"name": _NAME, "tenant_id": {"type": ["string", "null"]}}, "A new entity.", "tenant_id"
    ),
    "AdminNewClient": whole_object(
        {
            "name": {"type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS},
            "entities": {**_TEXTS, "minItems": 1, "description": "Names or ids."},
            "scopes": {
                "type": ["array", "null"],
                "items": {"type": "string", "enum": list(Scope)},
                "minItems": 1,
                "description": "read, submit and cancel when absent.",
            },
            "org_ids": _ORGS,
            "tenant_id": {"type": ["string", "null"]},
            "id": {
                "type": ["string", "null"],
                "format": "uuid",
                "description": "The client's id, chosen by the caller: a repeat changes nothing.",
            },
            "expires_time": _EXPIRES,
        },
        "A new client.",
        *("scopes", "org_ids", "tenant_id", "id", "expires_time"),
    ),
    "AdminChange": whole_object(
        {"scopes": {**_SCOPES, "minItems": 1}, "org_ids": _ORGS, "expires_time": _EXPIRES},
        "What to change of a client; what is absent stays.",
        *("scopes", "org_ids", "expires_time"),
    ),
    "AdminRotate": whole_object(
        {"grace_s": {"type": "number", "minimum": 0, "maximum": MAX_GRACE_S, "default": 86400}},
        "How long the secret before stays valid.",
        "grace_s",
    ),
}
