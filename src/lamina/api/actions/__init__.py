"""One folder per room, one file per ECS action."""
