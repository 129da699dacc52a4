"""The control plane's rooms: who owns what, in which state, and what may happen to it next."""
