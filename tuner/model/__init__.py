"""The model: encoder, fusion and classification head."""
