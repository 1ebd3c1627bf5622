"""Where a request came from, for entries of the audit log."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """The address of the caller, the id of its request, and who it is at another issuer."""

    remote_address: str = ""
    request_id: str = ""
    login: str = ""

    @property
    def detail(self) -> dict[str, object]:
        """What entries have of it beside the address."""
        found: dict[str, object] = {"request_id": self.request_id}
        if self.login:
            found["login"] = self.login
        return found


UNKNOWN_ORIGIN = Origin()
