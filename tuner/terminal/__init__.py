"""Output for the terminal: lines, progress bars, a study's summary and its live view."""
