"""Programs that drive clients which other people wrote, each in an environment of its own."""
