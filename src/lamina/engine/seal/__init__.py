"""Block to sealed block and back: identity, compression, encryption, and the keys for them."""
