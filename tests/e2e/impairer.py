"""A UDP link with a set rate, loss and delay, between members and the relay.

The relay listens on 127.0.0.1:P and advertises 127.0.0.2; the impairer owns 127.0.0.2:P. Each member's address gets
a socket of its own towards the relay, so that the relay tells members apart as it would without the link.
A link is a queue that fills: packets wait for their turn at `rate`, and those that would wait longer than
`queue_ms` are dropped, as in a branch office's router.
"""

import heapq
import random
import selectors
import socket
import threading
import time
from dataclasses import dataclass, field


@dataclass
class Link:
    """One direction of one member's link."""

    rate_bps: float = 0.0  # 0: no limit
    loss: float = 0.0  # 0 to 1
    delay_ms: float = 0.0
    queue_ms: float = 250.0
    free_at: float = 0.0
    passed_bytes: int = 0
    dropped: int = 0

    def departure(self, now: float, size: int, dice: random.Random):
        """When a packet of `size` bytes that came at `now` goes on; None when it is lost."""
        if self.loss and dice.random() < self.loss:
            self.dropped += 1
            return None
        leaves = now
        if self.rate_bps:
            begin = max(now, self.free_at)
            if (begin - now) * 1000 > self.queue_ms:
                self.dropped += 1
                return None
            self.free_at = begin + (size + 28) * 8 / self.rate_bps
            leaves = self.free_at
        self.passed_bytes += size
        return leaves + self.delay_ms / 1000


@dataclass
class Member:
    """One member's two links."""

    address: tuple
    socket: socket.socket
    up: Link = field(default_factory=Link)
    down: Link = field(default_factory=Link)


class Impairer:
    """Forwards until `close`; set `rate`, `loss` or `delay` for all members at any time."""

    def __init__(self, port: int, relay: str = "127.0.0.1", listen: str = "127.0.0.2", seed: int = 1):
        self.relay = (relay, port)
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind((listen, port))
        self.members = {}
        self.settings = {}
        self.dice = random.Random(seed)
        self.waiting = []
        self.serial = 0
        self.lock = threading.Lock()
        self.running = True
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.front, selectors.EVENT_READ, None)
        self.front.setblocking(False)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def set(self, direction: str = "both", **settings):
        """Sets `rate_bps`, `loss`, `delay_ms` or `queue_ms` of `up` (towards the relay), `down` or `both`."""
        with self.lock:
            for way in ("up", "down") if direction == "both" else (direction,):
                self.settings.setdefault(way, {}).update(settings)
                for member in self.members.values():
                    for name, value in settings.items():
                        setattr(getattr(member, way), name, value)

    def close(self):
        self.running = False
        self.thread.join(5)
        self.front.close()
        for member in self.members.values():
            member.socket.close()

    def _member(self, address):
        member = self.members.get(address)
        if member is None:
            back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            back.setblocking(False)
            back.connect(self.relay)
            member = Member(address, back)
            for way, settings in self.settings.items():
                for name, value in settings.items():
                    setattr(getattr(member, way), name, value)
            self.members[address] = member
            self.selector.register(back, selectors.EVENT_READ, member)
        return member

    def _run(self):
        while self.running:
            timeout = 0.05
            if self.waiting:
                timeout = min(timeout, max(0.0, self.waiting[0][0] - time.monotonic()))
            for key, _ in self.selector.select(timeout):
                self._receive(key.fileobj, key.data)
            now = time.monotonic()
            while self.waiting and self.waiting[0][0] <= now:
                _, _, out, packet, address = heapq.heappop(self.waiting)
                try:
                    out.send(packet) if address is None else out.sendto(packet, address)
                except OSError:
                    pass  # the far end is gone, as on a real link

    def _receive(self, sock, member):
        for _ in range(64):
            try:
                packet, address = sock.recvfrom(2048)
            except (BlockingIOError, ConnectionRefusedError):
                return
            now = time.monotonic()
            with self.lock:
                if member is None:
                    sender = self._member(address)
                    at, out, to = sender.up.departure(now, len(packet), self.dice), sender.socket, None
                else:
                    at, out, to = member.down.departure(now, len(packet), self.dice), self.front, member.address
            if at is not None:
                self.serial += 1
                heapq.heappush(self.waiting, (at, self.serial, out, packet, to))
