"""What becomes of the snapshots and policies of accounts that do not pay: planned first, then carried out."""
