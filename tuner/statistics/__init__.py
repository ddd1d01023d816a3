"""Statistics of confirmed scores: seeds and items are both samples, and the intervals know it."""
