"""What every RunStore must do: the sentences of its protocol, each as a test.

An implementation inherits `RunStoreContract` and provides the fixtures `store`, `once_store` and
`back_door`. The back door bypasses the interface: it moves the store's time and looks at rows.
"""

from __future__ import annotations

from tests.contract.run_store_moves import MovesContract
from tests.contract.run_store_queue import QueueContract
from tests.contract.run_store_reads import ReadsContract


class RunStoreContract(QueueContract, MovesContract, ReadsContract):
    """Inherit this, provide `store`, `once_store` and `back_door`."""
