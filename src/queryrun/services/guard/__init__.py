"""The statement guard in processes of its own: a statement may stall or crash its parser."""
