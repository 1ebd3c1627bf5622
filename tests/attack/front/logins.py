"""Wrong credentials from the address of somebody who has the right ones."""

from __future__ import annotations

from queryrun.auth.model import IssuedSecret
from tests.attack.registry import Outcome, attack
from tests.attack.targets import Targets, log_of, new_client
from tests.e2e.conftest import Server

LIMITED = {"QUERYRUN_RATES__AUTH_PER_ADDRESS_PER_MINUTE": "20"}


def _login(server: Server, issued: IssuedSecret, *, right: bool, forwarded: str = "") -> int:
    form = {
        "grant_type": "client_credentials",
        "client_id": issued.client.id,
        "client_secret": issued.secret if right else "a-wrong-secret",
    }
    headers = {"x-forwarded-for": forwarded, "authorization": ""} if forwarded else {}
    return server.http.post("/oauth/token", data=form, headers=headers).status_code


@attack(
    "front", "wrong secrets and tokens of others", before="all", bar=0, unit="right ones refused"
)
def failures_of_others(targets: Targets) -> Outcome:
    """From the same address: 100 wrong secrets of a client, and 100 wrong tokens. Then that client
    and another one log in, and a token that was issued before is used."""
    server = targets.shared(LIMITED)
    own, other = server.made.issued, new_client(server, "other")
    count = 30 if targets.quick else 100
    for number in range(count):
        _login(server, own, right=False)
        headers = {"authorization": f"Bearer wrong-{number}"}
        server.http.get("/v2/query_runs/x", headers=headers)
    statuses = [
        _login(server, own, right=True),
        _login(server, other, right=True),
        200 if server.http.get("/v2/query_runs/x").status_code == 404 else 0,
    ]
    return Outcome(sum(status != 200 for status in statuses), 2 * count, str(statuses))


@attack("front", "a forged X-Forwarded-For", before="limit evaded", bar=0, unit="accepted")
def forged_addresses(targets: Targets) -> Outcome:
    """Nobody is a trusted proxy by default, from loopback neither: the limit of failures holds,
    and the log has the real address."""
    server = targets.fresh(LIMITED)
    addresses = [f"198.51.100.{number}" for number in range(30)]
    statuses = [
        _login(server, server.made.issued, right=False, forwarded=address) for address in addresses
    ]
    accepted = int(429 not in statuses)
    log = log_of(server).read_text()
    accepted += log.count("198.51.100.") + log.count("a-wrong-secret")
    accepted += '"remote_address": "127.0.0.1"' not in log.replace('":"', '": "')
    return Outcome(accepted, len(statuses))


@attack("front", "an address forged through our proxy", before="-", bar=0, unit="accepted")
def forged_through_a_proxy(targets: Targets) -> Outcome:
    """Of what a trusted proxy forwards, the right-most address counts that is not a proxy's."""
    server = targets.fresh(LIMITED | {"QUERYRUN_SERVER__TRUSTED_PROXIES": "127.0.0.1"})
    statuses = [
        _login(
            server,
            server.made.issued,
            right=False,
            forwarded=f"198.51.100.{number}, 192.0.2.77, 127.0.0.1",
        )
        for number in range(30)
    ]
    accepted = int(429 not in statuses)
    log = log_of(server).read_text()
    accepted += log.count("198.51.100.") + ("192.0.2.77" not in log)
    return Outcome(accepted, len(statuses))
