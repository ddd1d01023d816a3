"""The Ray cluster of a study: joining or starting it, its capacity, and access to it."""
