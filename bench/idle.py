"""What a site's two containers use of memory: just after use, and idle."""

import http.client
import re
import time
from pathlib import Path
from urllib.parse import urlencode

from engine import Engine
from installation import HTTP_PORT, TAG, Failed, api, ensure, host, load, table

SITE = f"{TAG}-idle"
TARGET = 48
MIB = 1024 * 1024


def visit(method, path, body=None, cookies=None):
    connection = http.client.HTTPConnection("127.0.0.1", HTTP_PORT, timeout=60)
    headers = {"Host": f"{host(SITE)}:{HTTP_PORT}", "Content-Type": "application/x-www-form-urlencoded"}
    if cookies:
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    set_by_answer = dict(
        re.match(r"([^=]+)=([^;]*)", value).groups() for value in answer.headers.get_all("Set-Cookie") or []
    )
    connection.close()
    return answer.status, text, set_by_answer


def use_it():
    """The front page, the login page, and the dashboard as an administrator."""
    status, text, _ = visit("GET", "/")
    if status != 200 or "</html>" not in text:
        raise Failed(f"front page: {status}")
    status, text, cookies = visit("GET", "/wp-login.php")
    if status != 200 or "user_login" not in text:
        raise Failed(f"login page: {status}")
    credentials = api("GET", f"/sites/{SITE}/credentials")
    form = urlencode({"log": credentials["user"], "pwd": credentials["password"], "testcookie": "1"})
    status, _, session = visit("POST", "/wp-login.php", form, cookies)
    if status != 302:
        raise Failed(f"login: {status}")
    status, text, _ = visit("GET", "/wp-admin/", cookies={**cookies, **session})
    if status != 200 or "dashboard-widgets" not in text:
        raise Failed(f"dashboard: {status}")


def memory(container):
    """Bytes by the container's control group: of its own, shared, and what `docker stats` shows."""
    engine = Engine()
    container_id = engine.ask("GET", f"/containers/{container}/json")["Id"]
    usage = engine.ask("GET", f"/containers/{container}/stats?stream=false&one-shot=true")["memory_stats"]["usage"]
    # The Engine's figures leave out shared memory. Version 1 has one tree per controller.
    trees = (Path("/cgroup/memory"), Path("/cgroup"))
    found = next(tree for tree in trees if tree.is_dir()).glob(f"**/*{container_id}*/memory.stat")
    parts = {name: int(value) for name, value in map(str.split, next(found).read_text().splitlines())}
    if "total_rss" in parts:  # version 1 of control groups
        own, shared, inactive = parts["total_rss"], parts["total_shmem"], parts["total_inactive_file"]
    else:
        own, shared, inactive = parts["anon"], parts["shmem"], parts["inactive_file"]
    return own, shared, usage - inactive


def processes(container):
    return len(Engine().ask("GET", f"/containers/{container}/top")["Processes"])


def measure(moment):
    rows, whole = [], 0
    for container in (f"php_{SITE}", f"nginx_{SITE}"):
        own, shared, shown = memory(container)
        whole += own + shared
        name = container.removesuffix(f"_{SITE}")
        sizes = (f"{size / MIB:.1f}" for size in (own, shared, own + shared, shown))
        rows.append((moment, name, processes(container), *sizes))
    return rows, whole / MIB


def main():
    ensure(SITE)
    engine = Engine()
    # As fresh as after a restart of the machine: what provisioning has left in them is gone.
    for container in (f"php_{SITE}", f"nginx_{SITE}"):
        engine.ask("POST", f"/containers/{container}/restart")
    rows, _ = measure("before the first request")
    deadline = time.monotonic() + 60
    while visit("GET", "/")[0] != 200:
        if time.monotonic() > deadline:
            raise Failed("the site does not answer after its restart")
        time.sleep(0.1)
    use_it()
    more, _ = measure("just after the dashboard")
    rows += more
    time.sleep(60)
    more, whole = measure("60 s later")
    rows += more
    time.sleep(15)
    more, later = measure("75 s later")
    rows += more
    print(f"Load: {load()}. MiB, by the containers' control groups.\n")
    table(("when", "container", "processes", "rss", "shared", "rss + shared", "`docker stats`"), rows)
    print(
        f"Both containers 60 s after front page, login page and dashboard: **{whole:.1f} MiB** rss + shared (target:\n"
        f"at most {TARGET}: {'met' if whole <= TARGET else 'missed'}); 75 s after it {later:.1f} MiB.\n\n"
        "`rss` is memory that no file backs and that belongs to the container's processes; `shared` is what several\n"
        "of them have in common: opcache's memory and files in memory. `docker stats` adds the page cache of the files that\n"
        "were read last, which the kernel gives up when memory is needed. PHP's workers end after 10 s without a\n"
        "request; opcache stays."
    )


if __name__ == "__main__":
    main()
