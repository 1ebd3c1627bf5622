"""What every RunStore must do: the sentences of its protocol, each as a test.

An implementation inherits `RunStoreContract` and provides the fixtures `store`,
`idempotency_store` and `raw`. The back door bypasses the interface: it moves the store's
time and inspects rows.
"""

from __future__ import annotations

from tests.contract.run_store_leases import LeasesContract
from tests.contract.run_store_listeners import ListenersContract
from tests.contract.run_store_queue import QueueContract
from tests.contract.run_store_reads import ReadsContract
from tests.contract.run_store_transitions import TransitionsContract


class RunStoreContract(
    QueueContract, LeasesContract, ListenersContract, TransitionsContract, ReadsContract
):
    """Inherit this, provide `store`, `idempotency_store` and `raw`."""
