"""Snapshots: created, listed, held, expired, deleted."""
