"""What keeps a repository small and sound: sweep, compaction, verification."""
