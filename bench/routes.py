"""Changes of routes while Caddy has many: end to end, and what Caddy's own programs take of it."""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

from engine import Engine
from healing import ensure_all, names, until
from installation import TAG, api, ended, load, median, table, watch

CADDY = f"{TAG}-caddy"
TURNS = 5
BURST = 50
PATIENCE = 600


def fill(engine, count):
    """Other sites' snippets, as many as are missing: of the form of ours, and of no installation."""
    members = [
        (
            f"zz-{number}.caddy",
            0o644,
            1000,
            f"http://zz-{number}.localhost {{\n\treverse_proxy nginx_zz-{number}:80 {{\n"
            f"\t\theader_up X-Hostplane-Site 00000000-0000-0000-0000-{number:012}\n"
            "\t\tlb_try_duration 2s\n\t\tlb_try_interval 100ms\n\t\ttransport http {\n\t\t\tdial_timeout 200ms\n"
            "\t\t}\n\t}\n}\n".encode(),
        )
        for number in range(count)
    ]
    engine.upload(CADDY, "/etc/caddy/sites", members)


def clear(engine):
    engine.run(CADDY, ["sh", "-c", "find /etc/caddy/sites -name 'zz-*.caddy' -delete"])


def change(site, how):
    """One change of a site's route: the time of its step."""
    job = watch(api("POST", f"/sites/{site}/{how}")["id"], lambda job: job["state"] == "completed", 0.1, PATIENCE)
    return sum(step["elapsed_ms"] for step in job["steps"] if step["resource"] == "route") / 1000


def there_and_back(site):
    return [change(site, how) for how in ("suspend", "resume")]


def turns(site):
    there_and_back(site)
    return [took for _ in range(TURNS) for took in there_and_back(site)]


def program(engine, *argv):
    times = []
    for _ in range(3):
        begun = time.monotonic()
        engine.run(CADDY, list(argv))
        times.append(time.monotonic() - begun)
    return median(times)


def loads(engine):
    """How often Caddy was given a configuration."""
    return engine.ask("GET", f"/containers/{CADDY}/logs?stdout=1&stderr=1").count(b'"uri":"/load"')


def burst(engine, sites):
    before, begun = loads(engine), time.monotonic()
    with ThreadPoolExecutor(len(sites)) as pool:
        jobs = list(pool.map(lambda site: api("POST", f"/sites/{site}/suspend")["id"], sites))
        list(pool.map(ended, jobs))
    took, given = time.monotonic() - begun, loads(engine) - before
    with ThreadPoolExecutor(len(sites)) as pool:
        list(pool.map(lambda site: ended(api("POST", f"/sites/{site}/resume")["id"]), sites))
    return took, given


def main():
    engine, sites = Engine(), names(BURST)
    ensure_all(sites)
    until("nothing differs", lambda: not api("GET", "/drift")["items"])
    rows, before = [], load()
    config = ["--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]
    for count in (0, 1_000, 10_000):
        fill(engine, count)
        adapting = program(engine, "caddy", "adapt", *config)
        checking = program(engine, "caddy", "validate", *config)
        loading = program(engine, "caddy", "reload", "--force", *config)
        nothing = program(engine, "true")
        # Beyond the adapter's deadline for a load there is nothing to measure.
        times = turns(sites[0]) if loading < 10 else []
        rows.append((count + BURST, times, nothing, adapting, checking, loading))
        if count == 1_000:
            took, given = burst(engine, sites)
        clear(engine)
    # Other parts may follow: Caddy loads what is left.
    there_and_back(sites[0])

    def shown(times):
        return (f"**{median(times):.2f} s**", f"{max(times):.2f} s") if times else ("not tried", "not tried")

    print(f"Load before: {before}; after: {load()}.\n")
    table(
        ("routes", "a change, median", "longest", "a program that does nothing", "`caddy adapt`", "`caddy validate`", "`caddy reload`"),
        [(total, *shown(times), *(f"{time:.2f} s" for time in programs)) for total, times, *programs in rows],
    )
    thousand = median(rows[1][1]) if rows[1][1] else float("inf")
    print(f"A change with {rows[1][0]} routes: target at most 0.5 s: {'met' if thousand <= 0.5 else '**not met**'}.")
    print(
        f"\n{BURST} sites suspended at once, 20 jobs at a time, with {rows[1][0]} routes: {took:.1f} s, and Caddy was given\n"
        f"{given} configurations.\n\n"
        "A change is the step `route` of a `site suspend` or `site resume` (`hostplane job show`): it reads the snippets,\n"
        "sends a candidate, and has Caddy load it and put it in place. Each of Caddy's programs reads all snippets, and\n"
        "Caddy builds all routes anew at each load, so this grows with their number. To be independent of it the routes\n"
        "would have to be no configuration: one for all sites, which finds its upstream by the request's host name."
    )


if __name__ == "__main__":
    main()
