"""Encryption keys of accounts: made, disabled, scheduled for deletion, rotated (B60).

A key has material, 32 random bytes per version, which lies in the installation's folder and nowhere else, wrapped by
the root key. Secrets of repositories and of disks are derived from it or sealed with it. So a key that is destroyed
takes everything with it that it protected, wherever copies of that may be.
"""
