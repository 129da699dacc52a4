"""Named places with a time zone and an object store each, and their zones."""
