"""Snapshot groups."""
