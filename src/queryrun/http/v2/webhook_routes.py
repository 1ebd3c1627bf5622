"""The entries of webhooks in the route table, and their bodies in the OpenAPI document."""

from __future__ import annotations

from queryrun.auth.model import Scope
from queryrun.http import parameters as p
from queryrun.http.operations import Operation, Parameter, RequestBody, ResponseDoc
from queryrun.http.shapes import Schema, whole_object
from queryrun.http.v2 import webhooks as w
from queryrun.webhooks.model import DeliveryState, WebhookEvent, WebhookKind
from queryrun.webhooks.store import MAX_PER_CLIENT, REPLAYED_AT_ONCE
from queryrun.webhooks.target import MAX_URL_CHARS

TAG = "Webhooks"
ERRORS = (400, 401, 403, 404, 405, 429, 500, 502, 503, 504)
WRITING_ERRORS = (*ERRORS, 413, 415)
ADDITION = " An addition of this service."
WEBHOOK_ID = Parameter("webhook_id", "path", {"type": "string"}, "The webhook's id.", p.ID)
DELIVERY_ID = Parameter(
    "delivery_id", "path", {"type": "string"}, "The delivery's id: `webhook-id` of its message."
)
OF_WEBHOOK = Parameter("webhook_id", "query", {"type": "string"}, "Of this webhook alone.")
OF_RUN = Parameter("run_id", "query", {"type": "string"}, "About this run alone.")
IN_STATE = Parameter(
    "state", "query", {"type": "string", "enum": list(DeliveryState)}, "In this state alone."
)
NEW = {"url": "https://hooks.example.com/queryrun", "events": ["run.complete", "run.failed"]}
ONE = ResponseDoc(200, "The webhook.", "Webhook")

WEBHOOK_TABLE = (
    Operation(
        "GET", "/v2/webhooks", "listWebhooks", w.list_webhooks, Scope.READ, TAG, "List webhooks",
        f"The client's own in the entity; all of the entity for an admin.{ADDITION}",
        p.EVERYWHERE,
        responses=(ResponseDoc(200, "The webhooks.", "Webhooks"),),
        errors=ERRORS,
    ),
    Operation(
        "POST", "/v2/webhooks", "createWebhook", w.create_webhook, Scope.SUBMIT, TAG,
        "Create a webhook",
        "Its secret is in this response and nowhere else. With an `id` of the caller's choice a "
        f"repeat is a 200 without a secret. A client has at most {MAX_PER_CLIENT}.{ADDITION}",
        p.EVERYWHERE,
        RequestBody("application/json", "WebhookRequest", (("ended", NEW),)),
        (
            ResponseDoc(201, "Created.", "IssuedWebhook", headers=("location",)),
            ResponseDoc(200, "There is one with this id.", "Webhook"),
        ),
        WRITING_ERRORS,
    ),
    Operation(
        "GET", "/v2/webhooks/{webhook_id}", "getWebhook", w.get_webhook, Scope.READ, TAG,
        "Read a webhook", f"Never its secret.{ADDITION}",
        (WEBHOOK_ID, *p.EVERYWHERE), responses=(ONE,), errors=ERRORS,
    ),
    Operation(
        "PUT", "/v2/webhooks/{webhook_id}", "changeWebhook", w.change_webhook, Scope.SUBMIT, TAG,
        "Change or pause a webhook",
        "What is absent stays. While it is paused, its deliveries wait."
        f"{ADDITION}",
        (WEBHOOK_ID, *p.EVERYWHERE),
        RequestBody("application/json", "ChangedWebhook", (("pause", {"paused": True}),)),
        (ONE,),
        WRITING_ERRORS,
    ),
    Operation(
        "DELETE", "/v2/webhooks/{webhook_id}", "deleteWebhook", w.remove_webhook, Scope.SUBMIT,
        TAG, "Delete a webhook", f"What waits is given up.{ADDITION}",
        (WEBHOOK_ID, *p.EVERYWHERE),
        responses=(ResponseDoc(204, "Deleted.", media_types=()),),
        errors=ERRORS,
    ),
    Operation(
        "POST", "/v2/webhooks/{webhook_id}/rotate", "rotateWebhook", w.rotate_webhook,
        Scope.SUBMIT, TAG, "Give a webhook a new secret",
        f"Messages carry a signature of the secret before, too, for `grace_s`.{ADDITION}",
        (WEBHOOK_ID, *p.EVERYWHERE),
        RequestBody("application/json", "WebhookRotation", (("an hour", {"grace_s": 3600}),)),
        (ResponseDoc(200, "The webhook and its new secret.", "IssuedWebhook"),),
        WRITING_ERRORS,
    ),
    Operation(
        "GET", "/v2/webhook_deliveries", "listWebhookDeliveries", w.list_deliveries, Scope.READ,
        TAG, "List deliveries",
        f"Newest first, of the webhooks that the client sees.{ADDITION}",
        (OF_WEBHOOK, OF_RUN, IN_STATE, p.LIST_PAGE_SIZE, p.CURSOR, *p.EVERYWHERE),
        responses=(ResponseDoc(200, "A page.", "WebhookDeliveries"),),
        errors=ERRORS,
    ),
    Operation(
        "POST", "/v2/webhook_deliveries/replay", "replayWebhookDeliveries", w.replay, Scope.SUBMIT,
        TAG, "Deliver again",
        "Deliveries by their ids, or those in a state whose events are of a time; at most "
        f"{REPLAYED_AT_ONCE:,}, the oldest first. The messages keep their ids.{ADDITION}",
        p.EVERYWHERE,
        RequestBody(
            "application/json",
            "WebhookReplay",
            (("dead ones of a day", {"from_time": "2026-11-28T00:00:00Z"}),),
        ),
        (ResponseDoc(200, "How many.", "WebhooksReplayed"),),
        WRITING_ERRORS,
    ),
    Operation(
        "GET", "/v2/webhook_deliveries/{delivery_id}", "getWebhookDelivery", w.get_delivery,
        Scope.READ, TAG, "Read a delivery",
        f"With its attempts and what the receiver answered.{ADDITION}",
        (DELIVERY_ID, *p.EVERYWHERE),
        responses=(ResponseDoc(200, "The delivery.", "WebhookDeliveryDetails"),),
        errors=ERRORS,
    ),
)  # fmt: skip

_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_TIME_OR_NULL: Schema = {"type": ["string", "null"], "format": "date-time"}
_EVENTS: Schema = {
    "type": "array", "minItems": 1, "items": {"type": "string", "enum": list(WebhookEvent)}
}  # fmt: skip


def _or_null(schema: Schema) -> Schema:
    return {**schema, "type": [str(schema["type"]), "null"]}


def _list_of(name: str) -> Schema:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


_URL: Schema = {"type": "string", "maxLength": MAX_URL_CHARS}
_DESCRIPTION: Schema = {"type": "string", "maxLength": w.MAX_DESCRIPTION_CHARS}
_WEBHOOK: Schema = {
    "id": _TEXT,
    "kind": {"type": "string", "enum": list(WebhookKind)},
    "url": _TEXT,
    "events": _EVENTS,
    "description": _TEXT,
    "of_entity": {"type": "boolean"},
    "paused": {"type": "boolean"},
    "created_by_id": _TEXT,
    "created_time": _TIME,
    "updated_time": _TIME,
    "previous_secret_until": _TIME_OR_NULL,
}
_DELIVERY: Schema = {
    "id": _TEXT,
    "webhook_id": _TEXT,
    "event": {"type": "string", "enum": list(WebhookEvent)},
    "event_time": _TIME,
    "query_run_id": _or_null(_TEXT),
    "state": {"type": "string", "enum": list(DeliveryState)},
    "attempt_count": {"type": "integer", "minimum": 0},
    "next_attempt_time": _TIME_OR_NULL,
    "finished_time": _TIME_OR_NULL,
}
_NEW: Schema = {
    "url": {**_URL, "description": "`https://…`; absent for the kind `run`."},
    "kind": {
        "type": "string",
        "enum": list(WebhookKind),
        "default": "webhook",
        "description": "`webhook`: events of runs. `run`: those of runs that name a `notify_url`. "
        "`callout`: outcomes of `async: true` requests, in the hosted service's form.",
    },
    "events": {
        "type": ["array", "null"],
        "minItems": 1,
        "items": {"type": "string", "enum": list(WebhookEvent)},
        "description": "All that the kind can be told when absent.",
    },
    "description": _DESCRIPTION,
    "of_entity": {
        "type": "boolean",
        "default": False,
        "description": "Every run of the entity, and not the client's own alone. Needs `admin`.",
    },
    "username": {
        "type": ["string", "null"],
        "maxLength": w.MAX_CREDENTIAL_CHARS,
        "description": "For basic authentication at the receiver; never returned.",
    },
    "password": {"type": ["string", "null"], "maxLength": w.MAX_CREDENTIAL_CHARS},
    "id": {"type": ["string", "null"], "format": "uuid", "description": "Chosen by the caller."},
}
_REPLAY: Schema = {
    "ids": {"type": ["array", "null"], "items": _TEXT, "maxItems": w.MAX_REPLAYED_IDS},
    "webhook_id": _or_null(_TEXT),
    "state": {"type": "string", "enum": ["dead", "delivered"], "default": "dead"},
    "from_time": _TIME_OR_NULL,
    "before_time": _TIME_OR_NULL,
}
_ATTEMPT: Schema = {
    "number": {"type": "integer", "minimum": 1},
    "time": _TIME,
    "duration_ms": {"type": "integer", "minimum": 0},
    "status": {"type": ["integer", "null"]},
    "error": _or_null(_TEXT),
    "response": _or_null(_TEXT),
}

WEBHOOK_SCHEMAS: dict[str, Schema] = {
    "Webhook": whole_object(_WEBHOOK, "A webhook; never its secret."),
    "Webhooks": whole_object({"data": _list_of("Webhook")}, "Webhooks."),
    "IssuedWebhook": whole_object(
        {**_WEBHOOK, "secret": {**_TEXT, "description": "`whsec_…`, shown only here."}},
        "A webhook and its new secret.",
    ),
    "WebhookRequest": whole_object(_NEW, "A new webhook.", *_NEW),
    "ChangedWebhook": whole_object(
        {
            "url": _or_null(_URL),
            "events": _or_null(_EVENTS),
            "description": _or_null(_DESCRIPTION),
            "paused": {"type": ["boolean", "null"]},
        },
        "What changes.",
        *("url", "events", "description", "paused"),
    ),
    "WebhookRotation": whole_object(
        {"grace_s": {"type": "number", "minimum": 0, "maximum": w.MAX_GRACE_S, "default": 86400}},
        "How long messages are signed with the secret before, too.",
        "grace_s",
    ),
    "WebhookDelivery": whole_object(_DELIVERY, "A message to one receiver."),
    "WebhookDeliveries": whole_object(
        {"next_page": _or_null(_TEXT), "data": _list_of("WebhookDelivery")}, "A page."
    ),
    "WebhookDeliveryDetails": whole_object(
        {
            **_DELIVERY,
            "attempts": {"type": "array", "items": whole_object(_ATTEMPT, "An attempt.")},
        },
        "A delivery with its attempts.",
    ),
    "WebhookReplay": whole_object(
        _REPLAY, "Either `ids`, or a time from `from_time` on.", *_REPLAY
    ),
    "WebhooksReplayed": whole_object({"replayed": {"type": "integer", "minimum": 0}}, "How many."),
}
