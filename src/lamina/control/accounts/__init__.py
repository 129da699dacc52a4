"""Who owns things: accounts, their standing, and the access keys that requests are signed with."""
