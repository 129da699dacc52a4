"""Durable work: task rows, leases, steps. Knows no disk and no snapshot."""
