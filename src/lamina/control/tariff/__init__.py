"""What storage costs: the price list and the rules of billing, dated data that an operator can replace."""
