"""Content-addressed storage of files: local disk or S3."""
