"""Bytes in and out of disks: files, block devices, NBD. Knows no snapshot."""
