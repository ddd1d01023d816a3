"""Training one trial: the loop, exact gradient accumulation, evaluation and checkpoints."""
