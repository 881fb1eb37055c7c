"""Pairwise verdicts on answers: by a local model, by any endpoint that speaks OpenAI's API, or by people."""
