"""The statement guard in separate processes: a statement may stall or crash its parser."""
