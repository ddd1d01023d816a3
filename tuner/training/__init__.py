"""One trial, trained: the loop, exact accumulation, evaluation, checkpoints."""
