"""Ray jobs: running studies and commands on a remote cluster."""
