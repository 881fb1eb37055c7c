"""Comparing runs: the table, its fairness, its tests."""
