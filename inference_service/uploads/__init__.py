"""Slide images on their way in: resumable and plain uploads, slides."""
