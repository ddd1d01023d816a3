"""What a study left behind, for a terminal."""
