"""Statistics of confirmed scores, with intervals that treat both seeds and items as samples."""
