"""The installation that is measured: where it is, and its API."""

import http.client
import json
import os
import statistics
import time
from pathlib import Path

TAG = os.environ["BENCH_TAG"]
HTTP_PORT = int(os.environ["BENCH_HTTP_PORT"])
HOME = Path(os.environ["BENCH_HOME"])
WORK = Path(os.environ["BENCH_WORK"])
TEMPLATE = f"{TAG}-template"
"""The site from which the floor copies what a site is made of."""


class Failed(Exception):
    """What was to be measured did not happen."""


def host(site):
    return f"{site}.localhost"


def api(method, path, body=None):
    address = (HOME / "api.url").read_text().strip().removeprefix("http://")
    connection = http.client.HTTPConnection(address, timeout=60)
    token = (HOME / "token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request(method, "/api/v1" + path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    if answer.status >= 400:
        raise Failed(f"{method} {path}: {answer.status} {data.decode(errors='replace')}")
    return json.loads(data) if data else None


def create(site):
    return api("POST", "/sites", {"name": site, "kind": "wordpress", "title": "Measured"})


def destroy(site):
    return ended(api("DELETE", f"/sites/{site}?confirm={site}")["id"])


def is_done(job, *resources):
    done = {step["resource"] for step in job["steps"] if step["state"] == "done"}
    return done.issuperset(resources)


def watch(job_id, seen, pause=0.02, patience=600):
    """Asks for a job until it is as wanted."""
    deadline = time.monotonic() + patience
    while True:
        job = api("GET", f"/jobs/{job_id}")
        if job["state"] in ("failed", "cancelled", "needs_operator"):
            raise Failed(json.dumps(job))
        if seen(job):
            return job
        if time.monotonic() > deadline:
            raise Failed(f"not within {patience} s: {json.dumps(job)}")
        time.sleep(pause)


def ended(job_id):
    return watch(job_id, lambda job: job["state"] == "completed", pause=0.1)


def ensure(site):
    """Makes the site unless it is there."""
    if site not in [found["name"] for found in api("GET", "/sites?status=ACTIVE&limit=100")["items"]]:
        ended(create(site)["id"])


def page(site, path="/", port=HTTP_PORT, headers=None):
    """Status and text of a page, asked for as a visitor would."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers={"Host": f"{host(site)}:{HTTP_PORT}", **(headers or {})})
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    connection.close()
    return answer.status, text


def until_full_front_page(site, patience=60, **asked):
    """Asks for the front page until it is there with all its content."""
    deadline = time.monotonic() + patience
    while True:
        try:
            status, text = page(site, **asked)
        except OSError as error:
            status, text = 0, str(error)
        if status == 200 and "</html>" in text and "wp-block" in text:
            return
        if time.monotonic() > deadline:
            raise Failed(f"{site} answers {status} {text[:300]}")
        time.sleep(0.01)


def median(values):
    return statistics.median(values)


def load():
    return Path("/proc/loadavg").read_text().split()[0]


def table(head, rows):
    print("|" + "|".join(f" {cell} " for cell in head) + "|")
    print("|" + "---|" * len(head))
    for row in rows:
        print("|" + "|".join(f" {cell} " for cell in row) + "|")
    print()
