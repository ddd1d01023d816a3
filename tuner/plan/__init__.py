"""`tuner plan`: a prediction of what a study would run and cost, without starting anything."""
