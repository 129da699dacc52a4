"""Resources of any kind: which exist, their tags, and finding them by their tags."""
