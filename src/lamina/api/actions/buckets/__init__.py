"""Extensions of our own: buckets, their objects, and links to them."""
