"""The confirmation: the best configurations of a search, retrained with fresh seeds and tested."""
