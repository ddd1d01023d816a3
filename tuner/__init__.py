"""Searches over hybrid-batch fine-tuning of multilingual encoders."""

__version__ = "0.1.0"
