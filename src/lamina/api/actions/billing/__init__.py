"""Actions about fees; extensions of Lamina, because the ECS API bills nothing."""
