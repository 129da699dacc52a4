"""What becomes of everything that a key protects when the key is rotated or destroyed (B60)."""
