"""The NBD protocol: its grammar and states without I/O, and a server around them."""
