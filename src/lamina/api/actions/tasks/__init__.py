"""Tasks that the API shows."""
