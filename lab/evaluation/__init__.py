"""Answers to the test rows and what they are worth: generation, perplexity, the spec-hashed folder. Worker side."""
