"""Time to repair a killed, removed or deleted resource on a real Engine, and time of a full scan of many sites."""

import math
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from engine import Engine, Refused
from installation import TAG, Failed, api, create, ended, load, median, page, table, until_full_front_page

KILLED, REMOVED, DELETED, SCANS = 20, 10, 3, 20
AT_ONCE = 8
"""Sites that are made at once."""


def names(count):
    return [f"{TAG}-heal{number}" for number in range(count)]


def ensure_all(wanted):
    active = {site["name"] for site in api("GET", "/sites?status=ACTIVE&limit=100")["items"]}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda site: ended(create(site)["id"]), [site for site in wanted if site not in active]))


def until(what, seen, patience=180):
    deadline = time.monotonic() + patience
    while not seen():
        if time.monotonic() > deadline:
            raise Failed(f"{what}: not within {patience} s")
        time.sleep(0.005)


def runs(engine, container):
    try:
        return engine.ask("GET", f"/containers/{container}/json")["State"]["Running"]
    except Refused:
        return False


def serves_again(engine, site, container, method, path):
    """From the harm to the first full front page."""
    until_full_front_page(site)
    begun = time.monotonic()
    engine.ask(method, path)
    # A page from before the end would say nothing.
    until(f"{container} is down", lambda: not runs(engine, container))
    until_full_front_page(site)
    took = time.monotonic() - begun
    until(f"{site} has no drift", lambda: not api("GET", f"/sites/{site}")["drift"])
    return took


def is_there(engine, path):
    try:
        engine.ask("HEAD", path)
    except Refused:
        return False
    return True


def percentile(values, share):
    return sorted(values)[math.ceil(share * len(values)) - 1]


def row(what, values, target, limit):
    reached = percentile(values, 0.95)
    verdict = "met" if reached <= limit else "**not met**"
    return (what, len(values), f"{median(values):.2f} s", f"**{reached:.2f} s**", f"{max(values):.2f} s", f"{target}: {verdict}")


def main():
    wanted, engine = names(int(sys.argv[1])), Engine()
    ensure_all(wanted)
    until("nothing differs", lambda: not api("GET", "/drift")["items"])
    # Lets the machine finish the work that the start of these sites caused.
    time.sleep(10)
    before, scans = load(), []
    for _ in range(SCANS):
        begun = time.monotonic()
        if not api("POST", "/reconcile")["complete"]:
            raise Failed("a scan is not complete")
        scans.append(time.monotonic() - begun)
        time.sleep(0.5)
    killed, removed = [], []
    for site in wanted[:KILLED]:
        nginx = f"nginx_{site}"
        killed.append(serves_again(engine, site, nginx, "POST", f"/containers/{nginx}/kill"))
    for site in wanted[KILLED : KILLED + REMOVED]:
        php = f"php_{site}"
        removed.append(serves_again(engine, site, php, "DELETE", f"/containers/{php}?force=true"))
    deleted, caddy = [], f"{TAG}-caddy"
    for site in wanted[-DELETED:]:
        snippet = f"/etc/caddy/sites/{site}.caddy"
        begun = time.monotonic()
        engine.run(caddy, ["rm", snippet])
        until(f"{snippet} is back", lambda: is_there(engine, f"/containers/{caddy}/archive?path={snippet}"))
        deleted.append(time.monotonic() - begun)
        if page(site)[0] != 200:
            raise Failed(f"{site} does not answer after its snippet came back")
    print(f"{len(wanted)} sites. Load before: {before}; after: {load()}.\n")
    table(
        ("", "times", "median", "p95", "longest", "target"),
        [
            row(f"a full scan of all {len(wanted)} sites, by `POST /reconcile`", scans, "at most 0.5 s", 0.5),
            row("nginx's container killed: until the front page is whole again", killed, "p95 at most 1.5 s", 1.5),
            row("PHP's container removed: the same", removed, "at most 3 s", 3),
            row("a snippet deleted in Caddy's container: until it is back", deleted, "a tick, 60 s, and a repair", 65),
        ],
    )
    print(
        "The Engine's events report containers, but no files in Caddy's container: a deleted snippet is detected at the next\n"
        "tick (`RECONCILE_INTERVAL`, 60 s unless set), to which its repair's time is added. Meanwhile the site is\n"
        "served on: Caddy has the route in memory."
    )


if __name__ == "__main__":
    main()
