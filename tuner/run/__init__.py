"""Running a study: Ray Tune schedules its trials, workers train them, files keep the results."""
