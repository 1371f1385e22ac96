"""Counts of what the server did, as Prometheus reads them."""

from collections import defaultdict

BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)


class Metrics:
    """Requests, their lengths, and seconds of sound; read and written on the event loop alone, but for `audio_s`."""

    def __init__(self) -> None:
        self.requests: dict[tuple[str, int], int] = defaultdict(int)
        self.audio_s = {"speech": 0.0, "conversion": 0.0, "heard": 0.0}
        self._counts: dict[str, list[int]] = defaultdict(lambda: [0] * (len(BUCKETS_S) + 1))
        self._sums: dict[str, float] = defaultdict(float)

    def count(self, route: str, status: int, seconds: float) -> None:
        """Count a request that is done."""
        self.requests[route, status] += 1
        self._sums[route] += seconds
        place = next((i for i, bound in enumerate(BUCKETS_S) if seconds <= bound), len(BUCKETS_S))
        self._counts[route][place] += 1

    def text(self, queue_length: int) -> str:
        """Return everything in the text format 0.0.4."""
        lines = _head("emotts_requests_total", "counter", "Requests by route and status.")
        for (route, status), n in sorted(self.requests.items()):
            lines.append(f'emotts_requests_total{{route="{route}",status="{status}"}} {n}')
        lines += _head("emotts_audio_seconds_total", "counter", "Seconds of sound that were made or heard.")
        lines += [f'emotts_audio_seconds_total{{kind="{kind}"}} {s:.3f}' for kind, s in self.audio_s.items()]
        lines += _head("emotts_queue_length", "gauge", "Requests that wait behind the one that is worked on.")
        lines.append(f"emotts_queue_length {queue_length}")
        lines += _head("emotts_request_seconds", "histogram", "From the request to the end of the answer.")
        for route, counts in sorted(self._counts.items()):
            total = 0
            for bound, n in zip([*(f"{b:g}" for b in BUCKETS_S), "+Inf"], counts, strict=True):
                total += n
                lines.append(f'emotts_request_seconds_bucket{{route="{route}",le="{bound}"}} {total}')
            lines.append(f'emotts_request_seconds_sum{{route="{route}"}} {self._sums[route]:.6f}')
            lines.append(f'emotts_request_seconds_count{{route="{route}"}} {total}')
        return "\n".join(lines) + "\n"


def _head(name: str, kind: str, text: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
