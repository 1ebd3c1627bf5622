"""The child process that runs one statement, and the pool that keeps them warm, kills, reaps."""
