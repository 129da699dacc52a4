"""A disk in memory, for tests of the NBD protocol."""

from lamina.blockio.nbd.export import StatusRun


class MemoryExport:
    """A bytearray as an `NbdExport`; blocks of 512 bytes that are all zero count as holes."""

    contexts = ("base:allocation", "x-test:parity")
    has_fast_zero = True

    def __init__(self, size_bytes, *, name="", description="a disk in memory", is_read_only=False):
        self.name = name
        self.description = description
        self.is_read_only = is_read_only
        self.data = bytearray(size_bytes)
        self.calls = []

    @property
    def size_bytes(self):
        return len(self.data)

    def read(self, offset, length):
        return bytes(self.data[offset : offset + length])

    def write(self, offset, data):
        self.data[offset : offset + len(data)] = data

    def zero(self, offset, length, *, may_punch):
        self.calls.append(("zero", may_punch))
        self.data[offset : offset + length] = bytes(length)

    def trim(self, offset, length):
        self.data[offset : offset + length] = bytes(length)

    def flush(self):
        self.calls.append(("flush",))

    def prefetch(self, offset, length):
        self.calls.append(("prefetch", offset, length))

    def block_status(self, context, offset, length):
        end = offset + length
        while offset < end:
            block = offset // 512
            stop = min(end, (block + 1) * 512)
            allocation = 0 if any(self.data[block * 512 : (block + 1) * 512]) else 3
            yield StatusRun(stop - offset, allocation if context == "base:allocation" else block % 2)
            offset = stop
