"""`tuner plan`: what a study would run and cost; nothing is started."""
