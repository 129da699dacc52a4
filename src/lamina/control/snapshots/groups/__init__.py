"""Snapshot groups: several disks at one instant."""
