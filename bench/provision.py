"""One site from nothing to its first full front page: ours, the floor and Compose, taking turns."""

import json
import os
import sys
import time
from pathlib import Path

import compose
from engine import Engine
from floor import FloorSite, Template
from installation import (
    TAG, TEMPLATE, Failed, create, destroy, ended, ensure, is_done, load, median, table, until_full_front_page, watch,
)

TARGET = 1.25
LONGEST = 12 * 60
"""Seconds after which no further turn begins: on a loaded machine ten turns can take half an hour."""
COMPOSE_EVERY = 3


def ours(name):
    """Seconds to the first full front page, seconds to the job's end, and the job."""
    begun = time.monotonic()
    job = create(name)["id"]
    # The page asked for earlier, or the job more often, would only take time from what they wait for.
    watch(job, lambda seen: is_done(seen, "wordpress_install", "route"), pause=0.05)
    until_full_front_page(name)
    page = time.monotonic() - begun
    job = ended(job)
    whole = time.monotonic() - begun
    destroy(name)
    return page, whole, job


def floor(template, name, subnet):
    site = FloorSite(template, name, subnet)
    begun = time.monotonic()
    try:
        calls = site.make(time.monotonic)
        until_full_front_page(name)
        return time.monotonic() - begun, calls, site.steps
    finally:
        site.remove()


def calls_of(log, names):
    """The outside calls of each of these sites' jobs, by the control plane's log: name and milliseconds."""
    found = {name: [] for name in names}
    for line in Path(log).read_text().splitlines():
        entry = json.loads(line)
        if entry.get("message") == "call" and entry.get("operation") == "provision" and entry["site"] in found:
            found[entry["site"]].append((entry["call"], entry["elapsed_ms"]))
    return found


def seconds(values):
    return f"{min(values):.2f}", f"{median(values):.2f}", f"{max(values):.2f}"


def main():
    log, rounds, with_compose = sys.argv[1], int(sys.argv[2]), "compose" in sys.argv[3:]
    ensure(TEMPLATE)
    template = Template()
    pool = os.environ["BENCH_POOL"].rpartition(".")[0]
    # Once each without being counted: images and programs come from the disk the first time.
    floor(template, f"{TAG}-warm", f"{pool}.248/29")
    ours(f"{TAG}-warm")
    if with_compose:
        compose.up(template, f"{TAG}-warm")
    floors, pages, wholes, composed, loads, jobs = [], [], [], [], [], []
    begun = time.monotonic()
    for turn in range(rounds):
        if time.monotonic() - begun > LONGEST:
            break
        loads.append(load())
        took, calls, steps = floor(template, f"{TAG}-floor{turn}", f"{pool}.{turn * 8}/29")
        floors.append((took, steps))
        page, whole, job = ours(f"{TAG}-ours{turn}")
        pages.append(page), wholes.append(whole), jobs.append(job)
        if with_compose and turn % COMPOSE_EVERY == 0:
            composed.append(compose.up(template, f"{TAG}-compose{turn}"))
        print(f"turn {turn}: floor {took:.2f} s, ours {page:.2f} s", file=sys.stderr)
    times = [took for took, _ in floors]
    measured = [("the floor", times), ("ours, first full front page", pages), ("ours, job completed", wholes)]
    if composed:
        measured.append(("Compose v2", composed))
    rows = [(name, *seconds(values), f"{median(values) / median(times):.2f}") for name, values in measured]
    print(f"{len(times)} turns of {rounds}, floor and ours one after the other"
          f"{f', Compose in {len(composed)} of them' if composed else ''}. Load before each turn: {', '.join(loads)}.\n")
    table(("", "best, s", "median, s", "worst, s", "to the floor's median"), rows)
    ratio = median(pages) / median(times)
    print(f"Ours to the floor: **{ratio:.2f}** (target: at most {TARGET}: {'met' if ratio <= TARGET else 'missed'}).")
    if composed:
        print(f"Ours to Compose v2: **{median(pages) / median(composed):.2f}**.")
    ours_calls = list(calls_of(log, [f"{TAG}-ours{turn}" for turn in range(len(times))]).values())
    print(
        f"\nThe floor sends {calls[0]} requests to the Engine and {calls[1]} statements to MariaDB. Ours makes "
        f"{median([len(made) for made in ours_calls]):.0f} calls\nthrough its gate: it also observes before it changes "
        "anything and confirms afterwards.\n"
    )
    # What both wait for alike: PHP running the product's two scripts, and then the page.
    scripts = [sum(end - begin for begin, end in (steps["unpacking"], steps["installing"])) for _, steps in floors]
    own = [
        sum(step["elapsed_ms"] for step in job["steps"] if step["resource"] in ("wordpress_files", "wordpress_install"))
        for job in jobs
    ]
    before = [steps["php container"][1] for _, steps in floors]
    print(
        f"PHP's own work (unpacking and installing, by the same scripts in the same container) takes\n"
        f"{median(scripts):.2f} s of the floor and {median(own) / 1000:.2f} s of ours; the floor's PHP container runs after "
        f"{median(before):.2f} s.\n"
    )
    names = list(floors[0][1])
    print("Steps of the floor, medians from its begin:\n")
    spans = {name: [steps[name] for _, steps in floors] for name in names}
    table(
        ("step", "begins, ms", "ends, ms", "takes, ms"),
        [
            (name, *(f"{1000 * median(values):.0f}" for values in (
                [begin for begin, _ in found], [end for _, end in found], [end - begin for begin, end in found])))
            for name, found in sorted(spans.items(), key=lambda item: median([end for _, end in item[1]]))
        ],
    )
    print("Steps of ours, medians of the journal's times (`hostplane job show ID --json`):\n")
    per_step = {}
    for job in jobs:
        for step in job["steps"]:
            per_step.setdefault(step["resource"], []).append(step["elapsed_ms"])
    table(("step", "takes, ms"), [(name, f"{median(values):.0f}") for name, values in per_step.items()])
    print("The calls, per site (`LOG_LEVEL=debug`). A call inside another one's is in both:\n")
    kinds = sorted({call for made in ours_calls for call, _ in made})
    table(
        ("call", "times", "together, ms"),
        [
            (
                kind,
                f"{median([len([1 for call, _ in made if call == kind]) for made in ours_calls]):.0f}",
                f"{median([sum(took for call, took in made if call == kind) for made in ours_calls]):.0f}",
            )
            for kind in kinds
        ],
    )


if __name__ == "__main__":
    main()
