"""What a statement means: names, Trino's types and coercions, signatures, overloads."""
