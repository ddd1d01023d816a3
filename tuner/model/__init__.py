"""Encoder, fusion and classification head."""
