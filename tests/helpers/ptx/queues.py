"""Arrays, streams and events of a GPU, as numba.cuda has them."""

from collections import deque

from . import shadow


class Holder:
    """An array in global memory, which is given back with the object."""

    def __init__(self, device, first, size):
        self.device = device
        self.first = first
        self.size = size
        self.__cuda_array_interface__ = {"data": (4 * first, False)}

    def __del__(self):
        self.device.words[self.first : self.first + self.size, shadow.STATE] = shadow.FREE
        self.device.held.pop(self.first, None)

    def read(self, dtype):
        """Return a copy of what is there."""
        return self.device.memory[self.first : self.first + self.size].view(dtype).copy()


class Stream:
    """A queue of work."""

    def __init__(self, device):
        self.device = device
        self.waiting = deque()
        device.streams.append(self)
        self.number = len(device.streams) - 1

    def __int__(self):
        return self.number

    def synchronize(self):
        """Return once all work in the queue is done."""
        self.device.work(lambda: not self.waiting)


class Event:
    """A point in a stream, for which others wait."""

    def __init__(self, device):
        self.device = device
        self.recorded = 0
        self.passed = 0

    def record(self, stream):
        """Be passed when all work is done that is in the stream now."""
        self.recorded += 1
        number = self.recorded
        stream.waiting.append((lambda: True, lambda: setattr(self, "passed", number)))

    def wait(self, stream):
        """Let later work in a stream wait for what was recorded last."""
        number = self.recorded
        stream.waiting.append((lambda: self.passed >= number, lambda: None))

    def synchronize(self):
        """Return once what was recorded last is passed."""
        number = self.recorded
        self.device.work(lambda: self.passed >= number)
