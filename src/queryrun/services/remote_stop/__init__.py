"""Calls to remote engines: stop work, list work, check health. From one process."""
