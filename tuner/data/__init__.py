"""Corpora: sources, alignment, tokens, and the hybrid batch sampler."""
