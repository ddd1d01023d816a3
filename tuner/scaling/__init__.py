"""What a scaling study says: its choice of learning rates, the fit of its points, its result."""
