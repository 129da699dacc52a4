"""The storage engine: repositories in object stores. Synchronous; knows no database, no web and no QEMU."""
