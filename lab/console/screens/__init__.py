"""The pages, and the panels that open over them."""
