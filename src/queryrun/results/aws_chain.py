"""Credentials of the role that this process has on AWS, by botocore's credential chain.

The chain looks at the environment, `~/.aws`, a web identity token (IRSA), the container endpoint
(ECS, EKS pod identity) and the instance metadata service (IMDSv2), in botocore's order. botocore
reads the `AWS_…` variables of the node; neither they nor `~/.aws` reach a worker, which gets the
short-lived keys alone.

botocore is an optional dependency (`queryrun[aws]`) and imports in 150 ms, so it is imported here
and by nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from queryrun.errors import ConfigurationError
from queryrun.extras import require_extra
from queryrun.results.sigv4 import Credentials

SETTING = 'results.credentials = "chain"'


def chain_credentials(region: str) -> Callable[[], Credentials]:
    """A function that fetches the current credentials, renewing them before they expire.

    botocore tries to renew them from 15 minutes before expiry, and must from 10 minutes before;
    until then a call is quick. A renewal blocks on the network; a web identity is exchanged at the
    STS endpoint of `region`. Raises `ConfigurationError`, here and in each call, when there are no
    credentials or they cannot be renewed; no message contains a secret.
    """
    require_extra("aws", f"{SETTING} is set")
    from botocore.session import get_session

    session = get_session()
    session.set_config_variable("region", region)
    found = _translated(session.get_credentials)
    if found is None:
        raise ConfigurationError(
            f"{SETTING}: no AWS credentials were found. Give the node a role (an instance profile, "
            "a task role, EKS pod identity, or AWS_ROLE_ARN with AWS_WEB_IDENTITY_TOKEN_FILE), or "
            'use static keys: results.credentials = "static" and results.credentials_file'
        )
    return lambda: _translated(lambda: _frozen(found))


def _frozen(found: Any) -> Credentials:
    frozen = found.get_frozen_credentials()
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token, _expires(found))


def _expires(found: Any) -> datetime | None:
    """When the keys expire; None for static ones. botocore has no public name for it."""
    expires = getattr(found, "_expiry_time", None)
    return expires if isinstance(expires, datetime) else None


def _translated(call: Callable[[], Any]) -> Any:
    """botocore's errors as ours, by type: its messages may quote responses, which hold secrets."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return call()
    except (BotoCoreError, ClientError, OSError, ValueError) as error:
        code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
        reason = code or type(error).__name__
        message = f"{SETTING}: credentials could not be fetched ({reason})"
        raise ConfigurationError(message) from None
