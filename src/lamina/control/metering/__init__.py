"""Metering: the log of what every snapshot came to, and when that changed; what bills are made from."""
