"""Ray Jobs: studies on a cluster, and commands that are run there."""
