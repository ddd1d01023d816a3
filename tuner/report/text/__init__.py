"""Reports on a study as text for a terminal."""
