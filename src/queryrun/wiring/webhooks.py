"""Settings -> what delivers to webhooks."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from queryrun.db.database import Database
from queryrun.errors import ConfigurationError
from queryrun.settings import Settings
from queryrun.webhooks.audience import Audience
from queryrun.webhooks.deliver import Deliverer, DeliveryOptions
from queryrun.webhooks.metrics import WebhookMetrics
from queryrun.webhooks.retry import RetryPlan
from queryrun.webhooks.secrets import Sealer
from queryrun.webhooks.send import Sender
from queryrun.webhooks.target import Resolver, Wall, parse_networks

DAY_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Webhooks:
    """What requests need to make webhooks, and what delivers to them."""

    wall: Wall
    sealer: Sealer
    resolver: Resolver
    deliverer: Deliverer

    async def close(self) -> None:
        """Stop delivering."""
        await self.deliverer.close()
        self.resolver.close()


def make_webhooks(
    settings: Settings,
    database: Database,
    link_key: bytes,
    public_url: str,
    registry: CollectorRegistry,
) -> Webhooks:
    """Connect the parts. `ConfigurationError` for a file of certificates that cannot be read."""
    chosen = settings.webhooks
    wall = Wall(parse_networks(chosen.allowed_networks), chosen.allow_http)
    sealer, resolver = Sealer(link_key), Resolver(wall)
    options = DeliveryOptions(
        public_url,
        chosen.max_attempts,
        chosen.per_receiver,
        RetryPlan(chosen.retry_days * DAY_S),
    )
    deliverer = Deliverer(
        database.webhooks,
        Audience(database.auth, database.runs, database.clock.now),
        Sender(resolver, _tls(settings)),
        wall,
        sealer,
        options,
        WebhookMetrics(registry),
        database.clock.now,
    )
    return Webhooks(wall, sealer, resolver, deliverer)


def _tls(settings: Settings) -> Callable[[], ssl.SSLContext]:
    """A file of the installation's own is read now: one that cannot be is refused at the start."""
    if not settings.webhooks.ca_file:
        return ssl.create_default_context
    context = ssl.create_default_context()
    path = settings.path(settings.webhooks.ca_file)
    try:
        context.load_verify_locations(path)
    except (OSError, ssl.SSLError) as error:
        message = f"webhooks.ca_file: {path} holds no certificates that can be read"
        raise ConfigurationError(message) from error
    return lambda: context
