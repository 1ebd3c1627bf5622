"""Spark, spoken to over Spark Connect: statements run there, and their rows come here as Arrow."""
