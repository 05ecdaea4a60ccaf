"""What was asked of this server, counted for its metrics: requests and seconds by route, method and status."""

import threading
from collections import Counter, defaultdict

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Requests:
    """Counts since the server began. Routes are templates, so there are as many as the app has, and `other`."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self.counts: Counter[tuple[str, str, int]] = Counter()
        self.seconds: defaultdict[str, list[float]] = defaultdict(lambda: [0.0] * (len(BUCKETS) + 2))

    def record(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answer."""
        with self._mutex:
            self.counts[route, method if method in _METHODS else "OTHER", status] += 1
            row = self.seconds[route]  # a count for each bucket, all, and the sum
            for place, bound in enumerate(BUCKETS):
                row[place] += seconds <= bound
            row[-2] += 1
            row[-1] += seconds


_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
