"""The benchmarks. Each prints one JSON object: ``{"name", "ours", "baseline", "ratio", "unit", "why"}``.

Both sides of a ratio come from the same run on the same machine, so that a slow or busy machine changes both.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.bench import sync_times, throughput

BENCHES: dict[str, Callable[[], list[dict[str, object]]]] = {
    "throughput": throughput.run,
    "sync_times": sync_times.run,
}


def main() -> None:
    """Run the benches named on the command line, or all of them."""
    for name in sys.argv[1:] or list(BENCHES):
        print(f"running {name} …", file=sys.stderr)
        for result in BENCHES[name]():
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
