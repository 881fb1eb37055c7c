"""The Textual console: reads run folders, starts and stops workers, never imports their code."""
