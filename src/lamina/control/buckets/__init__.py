"""Buckets: where accounts keep the files of images that they import and export. Snapshots never appear there (B01)."""
