"""What a person sees: lines, bars, a study's summary and its live view."""
