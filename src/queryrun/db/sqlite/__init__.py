"""The stores on SQLite: one writer thread, reads straight from the event loop."""
