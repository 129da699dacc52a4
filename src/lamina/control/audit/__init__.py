"""The audit log: who called what, on which resource, with which outcome."""
