"""What policies will do and did: extensions of Lamina."""
