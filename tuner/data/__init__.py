"""Corpora: data sources, alignment, tokenisation and the hybrid batch sampler."""
