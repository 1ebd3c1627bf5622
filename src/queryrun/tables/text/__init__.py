"""Text files as tables: read as texts once per version, typed by all their values, kept."""
