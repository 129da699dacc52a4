"""The block map: a tree of pages from block index to content id and location."""
