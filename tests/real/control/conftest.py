from tests.servers.seaweedfs import seaweedfs

__all__ = ["seaweedfs"]
