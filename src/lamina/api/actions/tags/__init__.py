"""Tags, and the groups of resources that go with them."""
