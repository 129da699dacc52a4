"""Many images made and exported in one go: extensions of Lamina, after a template of the vendor's."""
