"""The final comparison: the best of a search again, with fresh seeds, and then on test."""
