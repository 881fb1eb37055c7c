"""`lab bench`: measurements against baselines, taken in one run."""
