"""Orders, specimens and their clinical context."""
