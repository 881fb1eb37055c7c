"""The run folder: its file names, its events, who may write, how to read. Everything else meets here."""
