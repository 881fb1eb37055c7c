"""Talking to a run's model: streamed answers in a child process, and the OpenAI chat API on loopback."""
