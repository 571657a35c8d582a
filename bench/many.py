"""Twenty sites asked for at once: sites per minute, and whether one waits for another's unpacking."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from installation import TAG, api, create, ended, load, median, table


def names(count):
    return [f"{TAG}-many{number}" for number in range(count)]


def spans(log, wanted):
    """When each step of each site began and ended, by the control plane's log."""
    found = {}
    for line in Path(log).read_text().splitlines():
        entry = json.loads(line)
        if entry.get("message") == "step done" and entry.get("site") in wanted:
            end = datetime.fromisoformat(entry["time"]).timestamp()
            found.setdefault(entry["site"], {})[entry["step"]] = (end - entry["elapsed_ms"] / 1000, end)
    return found


def most_at_once(intervals):
    edges = sorted([(begin, 1) for begin, _ in intervals] + [(end, -1) for _, end in intervals])
    most = now = 0
    for _, change in edges:
        now += change
        most = max(most, now)
    return most


def main():
    log, count = sys.argv[1], int(sys.argv[2])
    before, wanted, begun = load(), names(count), time.monotonic()
    with ThreadPoolExecutor(count) as pool:
        jobs = [job["id"] for job in pool.map(create, wanted)]
        asked = time.monotonic() - begun
        list(pool.map(ended, jobs))
    took = time.monotonic() - begun
    active = {site["name"] for site in api("GET", "/sites?status=ACTIVE&limit=100")["items"]}
    missing = set(wanted) - active
    if missing:
        raise SystemExit(f"not active: {sorted(missing)}")
    found = spans(log, wanted)
    waits = [steps["wordpress_files"][0] - steps["php_container"][1] for steps in found.values()]
    unpacking = [steps["wordpress_files"] for steps in found.values()]
    print(f"All {count} sites are active. Load before: {before}; after: {load()}.\n")
    table(
        ("", ""),
        [
            (f"{count} orders accepted", f"{asked:.2f} s"),
            ("all active", f"{took:.1f} s"),
            ("sites per minute", f"**{60 * count / took:.0f}**"),
            ("unpacking at once, at most", most_at_once(unpacking)),
            ("unpacking takes, median", f"{1000 * median([end - begin for begin, end in unpacking]):.0f} ms"),
            ("from the PHP container's start to its unpacking, longest", f"{1000 * max(waits):.0f} ms"),
        ],
    )
    print(
        "A site's unpacking begins as soon as its own PHP container runs, whatever others unpack. How many jobs run\n"
        "at once is `CONCURRENCY` (20 unless set); the others are queued as a whole."
    )


if __name__ == "__main__":
    main()
