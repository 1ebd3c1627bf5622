"""What Spark has a form for: one table, filled by a module for each subject."""
