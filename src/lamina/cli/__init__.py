"""The command line: `lamina repo` works on a store directly, everything else speaks to the service."""
