"""Pure scorers over answers: no GPU, no network. This package itself loads nothing; `names` is the light list."""
