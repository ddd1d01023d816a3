"""`tuner doctor`: checks that a study could run on this machine or cluster, before it tries."""
