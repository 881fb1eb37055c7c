"""Models: where they come from, how they are loaded, which of their weights train. Worker side."""
