"""A run's weights as files that others load: merged safetensors, GGUF, model card, hub. Worker side."""
