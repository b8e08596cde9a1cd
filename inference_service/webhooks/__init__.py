"""Signed notifications to the HIS, their deliveries and retries."""
