"""Disks: made, imported, connected, rolled back, deleted. Snapshots are the next room."""
