"""The process of one attempt, and the pool that keeps such processes warm, kills and reaps."""
