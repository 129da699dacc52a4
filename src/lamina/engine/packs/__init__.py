"""Packs: objects of about 32 MiB that hold many sealed blocks."""
