"""Consultations: the opinion of a colleague in another facility."""
