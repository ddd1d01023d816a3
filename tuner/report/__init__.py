"""What a study left behind, made readable."""
