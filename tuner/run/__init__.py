"""A study executed: Ray Tune runs its trials, workers train them, files stay of them."""
