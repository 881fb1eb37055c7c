"""Rows of data: reading, cleaning, splitting, masking and reporting them. The worker and `lab plan` call `prepare`."""
