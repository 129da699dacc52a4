"""Tags: keys and values on resources of any kind."""
