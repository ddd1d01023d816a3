"""Searches over hybrid-batch fine-tuning of multilingual encoders."""

__version__ = "0.2.0"

DISTRIBUTION = "hybrid-batch-tuner"
"""The name under which pip installs this package. On PyPI, `tuner` is another project."""
