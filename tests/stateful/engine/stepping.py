"""Operations that run as threads and reach the store one call at a time, when a scheduler lets them."""

import threading

from lamina.engine.sessions import SESSIONS

# Listings come page by page, so that others can act between the pages.
_ROWS_AT_ONCE = 3
# Only a deadlock takes this long.
_STUCK_SECONDS = 30


class KilledError(BaseException):
    """The actor is gone: as after kill -9, nothing that it does reaches the store any more."""


class _Ticket:
    """A call that waits for its turn."""

    def __init__(self, name, call):
        self.name = name
        self.call = call
        self.done = threading.Event()
        self.result = None
        self.error = None

    def run(self):
        """Make the call; its outcome goes to the thread that waits."""
        try:
            self.result = self.call()
        except Exception as error:  # noqa: BLE001 - handed over whole
            self.error = error


class Actor:
    """One operation in a thread of its own. Every store call of it, from any thread, waits for `step`.

    Attributes:
        name: for the trace.
        outcome: what the operation returned or raised, once it ended.
        session_keys: object keys of the sessions that it published.
        sleeps_until: the step before which the scheduler leaves it alone.
    """

    def __init__(self, name):
        self.name = name
        self.outcome = None
        self.is_killed = False
        self.session_keys = set()
        self.sleeps_until = 0
        self._lock = threading.Condition()
        self._tickets = []
        self._is_running = False

    def start(self, operation):
        """Run `operation()` up to its first store call."""
        self._is_running = True
        threading.Thread(target=self._run, args=(operation,), name=self.name, daemon=True).start()
        self._settle()

    @property
    def is_running(self):
        return self._is_running

    @property
    def next_call(self):
        """The call that `step` would make if it took the first by name."""
        with self._lock:
            return min((ticket.name for ticket in self._tickets), default="")

    def request(self, name, call):
        """Called by the store: wait for a turn, and give what the call gave."""
        ticket = _Ticket(name, call)
        with self._lock:
            if self.is_killed or not self._is_running:
                raise KilledError
            self._tickets.append(ticket)
            self._lock.notify_all()
        ticket.done.wait()
        if self.is_killed:
            raise KilledError
        if ticket.error is not None:
            raise ticket.error
        return ticket.result

    def step(self, choose):
        """Let one waiting call happen, and run on to the next one; the name of the call."""
        with self._lock:
            # Two uploads may come in either order; names make the choice repeatable.
            ticket = choose(sorted(self._tickets, key=lambda item: item.name))
            self._tickets.remove(ticket)
        ticket.run()
        ticket.done.set()
        self._settle()
        return ticket.name

    def kill(self):
        """Nothing more happens; calls that wait never reach the store."""
        with self._lock:
            self.is_killed = True
            for ticket in self._tickets:
                ticket.done.set()
            self._tickets.clear()
            if not self._lock.wait_for(lambda: not self._is_running, _STUCK_SECONDS):
                raise AssertionError(f"{self.name} does not die")

    def _run(self, operation):
        try:
            self.outcome = operation()
        except KilledError:
            pass
        except Exception as error:  # noqa: BLE001 - judged by the world
            self.outcome = error
        finally:
            with self._lock:
                self._is_running = False
                self._lock.notify_all()

    def _settle(self):
        with self._lock:
            if not self._lock.wait_for(lambda: self._tickets or not self._is_running, _STUCK_SECONDS):
                raise AssertionError(f"{self.name} is stuck without a store call")


class SteppedStore:
    """Hands every call of one actor to the scheduler."""

    def __init__(self, inner, actor):
        self._inner = inner
        self._actor = actor

    def put(self, key, data):
        contents = bytes(data)
        if key.startswith(SESSIONS):
            self._actor.session_keys.add(key)
        self._actor.request(f"put {key}", lambda: self._inner.put(key, contents))

    def put_new(self, key, data):
        contents = bytes(data)
        self._actor.request(f"put_new {key}", lambda: self._inner.put_new(key, contents))

    def get(self, key):
        return self._actor.request(f"get {key}", lambda: self._inner.get(key))

    def get_range(self, key, offset, length):
        return self._actor.request(
            f"get_range {key} {offset}+{length}", lambda: self._inner.get_range(key, offset, length)
        )

    def get_tail(self, key, length):
        return self._actor.request(f"get_tail {key}", lambda: self._inner.get_tail(key, length))

    def list(self, prefix):
        last = ""
        while True:
            rows = self._actor.request(
                f"list {prefix} after {last!r}", lambda last=last: self._page(prefix, last)
            )
            yield from rows
            if len(rows) < _ROWS_AT_ONCE:
                return
            last = rows[-1].key

    def delete(self, key):
        self._actor.request(f"delete {key}", lambda: self._inner.delete(key))

    def describe(self):
        return self._inner.describe()

    def _page(self, prefix, last):
        return [row for row in self._inner.list(prefix) if row.key > last][:_ROWS_AT_ONCE]
