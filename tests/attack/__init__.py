"""Attacks on real servers: `make attack` prints the table, pytest runs the same ones."""
