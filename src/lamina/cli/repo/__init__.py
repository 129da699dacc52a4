"""`lamina repo`: the storage engine without a service. One file per command, each with a `command` in it."""
