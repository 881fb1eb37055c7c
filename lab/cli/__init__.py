"""The `lab` command: one module per verb group. They parse, call and print; what they call imports inside."""
