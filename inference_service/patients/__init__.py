"""Patients and their dated identifiers."""
