"""`lamina disk`: one file per command that is more than one call."""
