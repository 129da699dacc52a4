"""`lamina migrate`: snapshots of one account become snapshots of another one."""
