"""What the head of a department sees of the department's work."""
