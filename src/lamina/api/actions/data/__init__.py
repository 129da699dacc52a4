"""Extensions of our own: the bytes of a disk, over the same signed API."""
