"""The report of a study: one page that opens anywhere, from run folders alone. Called by `lab report`."""
