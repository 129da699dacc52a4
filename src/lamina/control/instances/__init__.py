"""Instances: the machines themselves, their states, types and drivers. What puts disks into them lies above."""
