"""The worker process of one attempt, and the pool that starts, keeps and stops such processes."""
