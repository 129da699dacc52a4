"""Pieces of answers that several actions share."""
