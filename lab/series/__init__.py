"""Pure numbers: what views and scores compute, without files or processes."""
