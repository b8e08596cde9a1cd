"""Signed readings and the reports made of them."""
