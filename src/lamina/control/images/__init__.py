"""Images: what instances are started from. An image has no bytes of its own: they are those of its snapshots."""
