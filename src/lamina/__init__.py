"""Lamina: cloud-grade disk snapshots for machines that you own."""
