"""Automatic snapshot policies."""
