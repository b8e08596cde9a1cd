"""Slides as browsers look at them: Deep Zoom tiles, thumbnails and crops."""
