"""Test sets other than the training data's: which rows, how they are asked, what they are scored by. Worker side."""
