"""Advice on fees: what deleting snapshots would really save, and which of them nobody seems to need. Reads only."""
