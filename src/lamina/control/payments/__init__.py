"""What accounts owe and paid, and what becomes of their standing: the ledger, and the course of arrears."""
