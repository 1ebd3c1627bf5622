"""Settings -> external logins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from queryrun.auth.store import AuthStore
from queryrun.settings import Settings

if TYPE_CHECKING:
    from queryrun.auth.oidc import ExternalLogins


def external_logins(settings: Settings, store: AuthStore) -> ExternalLogins | None:
    """Logins at the installation's issuer; None when it has none.

    What they need is imported here: for most installations it would be an eighth of the start.
    """
    if not settings.oidc.issuer:
        return None
    from queryrun.wiring.issuer import logins_of_issuer

    return logins_of_issuer(settings, store)
