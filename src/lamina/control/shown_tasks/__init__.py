"""The tasks that an account may look at through the API: whose each one is, and what the API calls it."""
