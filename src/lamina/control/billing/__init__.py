"""Bills: what follows from the log of sizes and the tariff, month by month."""
