"""What people say of single cells, and what they have looked at."""
