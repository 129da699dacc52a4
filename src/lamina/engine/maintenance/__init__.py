"""What keeps a repository small and sound: sweep, compaction, verification; and what its snapshots come to."""
