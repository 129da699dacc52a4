"""Composition roots: the only place that picks concrete classes and puts them together."""
