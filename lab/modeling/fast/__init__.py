"""What makes training fast: attention over packed rows, and kernels that each can be switched off. Used by training."""
