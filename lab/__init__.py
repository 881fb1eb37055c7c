"""LoRA Lab: a terminal lab for fine-tuning studies of language models."""

__version__ = "0.1.0"
