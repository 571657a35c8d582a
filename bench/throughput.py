"""The front page per second: through Caddy and nginx, and from PHP-FPM asked directly."""

import http.client
import socket
import struct
import subprocess
import sys
import threading
import time

from engine import Engine
from installation import HTTP_PORT, TAG, TEMPLATE, Failed, api, ensure, host, load, median, table

CLIENTS = 4
SECONDS = 10
TARGET = 10
PARAMETERS, STDIN, END = 4, 5, 3


def through_caddy():
    """One client that keeps its connection."""
    connection = http.client.HTTPConnection("127.0.0.1", HTTP_PORT, timeout=60)
    headers = {"Host": f"{host(TEMPLATE)}:{HTTP_PORT}"}

    def ask():
        connection.request("GET", "/", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()

    return ask


def _record(kind, content):
    return struct.pack(">BBHHBB", 1, kind, 1, len(content), 0, 0) + content


def _pair(name, value):
    name, value = name.encode(), value.encode()
    lengths = b"".join(
        bytes([len(text)]) if len(text) < 128 else struct.pack(">I", len(text) | 0x80000000) for text in (name, value)
    )
    return lengths + name + value


def from_php(address):
    """One client with a connection for each request, as nginx has them."""
    parameters = {
        "SCRIPT_FILENAME": "/var/www/html/index.php", "SCRIPT_NAME": "/index.php", "REQUEST_URI": "/",
        "DOCUMENT_URI": "/index.php", "DOCUMENT_ROOT": "/var/www/html", "QUERY_STRING": "", "REQUEST_METHOD": "GET",
        "SERVER_PROTOCOL": "HTTP/1.1", "GATEWAY_INTERFACE": "CGI/1.1", "REMOTE_ADDR": "127.0.0.1",
        "SERVER_NAME": host(TEMPLATE), "SERVER_PORT": "80", "HTTP_HOST": f"{host(TEMPLATE)}:{HTTP_PORT}",
        "SERVER_SOFTWARE": "bench", "CONTENT_TYPE": "", "CONTENT_LENGTH": "", "REQUEST_SCHEME": "http",
    }
    # Record 1 begins a request for a responder.
    request = _record(1, struct.pack(">HB5x", 1, 0))
    request += _record(PARAMETERS, b"".join(_pair(*pair) for pair in parameters.items()))
    request += _record(PARAMETERS, b"") + _record(STDIN, b"")

    def ask():
        with socket.create_connection((address, 9000), timeout=60) as wire:
            wire.sendall(request)
            heard = b"".join(iter(lambda: wire.recv(65536), b""))
        page = b""
        while len(heard) >= 8:
            kind, length, padding = heard[1], int.from_bytes(heard[4:6], "big"), heard[6]
            if kind == 6:
                page += heard[8 : 8 + length]
            heard = heard[8 + length + padding :]
        head, _, body = page.partition(b"\r\n\r\n")
        return (int(head.partition(b"Status: ")[2][:3]) if b"Status: " in head else 200), body

    return ask


def rate(client):
    """Full front pages per second of several clients at once."""
    counts, wrong = [0] * CLIENTS, []
    until = time.monotonic() + SECONDS

    def work(number):
        ask = client()
        while time.monotonic() < until:
            status, body = ask()
            if status != 200 or b"</html>" not in body:
                wrong.append((status, body[:200]))
                return
            counts[number] += 1

    begun = time.monotonic()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong or not all(counts):
        raise Failed(f"{wrong or 'a client failed'}")
    return sum(counts) / (time.monotonic() - begun), sum(counts)


CONTAINERS = {"PHP": f"php_{TEMPLATE}", "nginx": f"nginx_{TEMPLATE}", "Caddy": f"{TAG}-caddy", "MariaDB": f"{TAG}-mariadb"}


def cpu():
    """Milliseconds of CPU that each container has used so far."""
    asked = {name: Engine().ask("GET", f"/containers/{container}/stats?stream=false&one-shot=true")
             for name, container in CONTAINERS.items()}
    return {name: stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e6 for name, stats in asked.items()}


def with_cpu(client):
    """Pages per second, and milliseconds of CPU per page and container."""
    before = cpu()
    pages_per_second, pages = rate(client)
    after = cpu()
    return pages_per_second, {name: (after[name] - before[name]) / pages for name in CONTAINERS}


def wrk():
    command = ["wrk", "--threads", "1", "--connections", str(CLIENTS), "--duration", f"{SECONDS}s", "--timeout", "60s",
               "--header", f"Host: {host(TEMPLATE)}:{HTTP_PORT}", f"http://127.0.0.1:{HTTP_PORT}/"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise Failed(said)
    return float(said.partition("Requests/sec:")[2].split()[0])


def main():
    rounds = int(sys.argv[1])
    ensure(TEMPLATE)
    found = Engine().ask("GET", f"/containers/php_{TEMPLATE}/json")["NetworkSettings"]["Networks"]
    address = found[f"site_{TEMPLATE}"]["IPAddress"]
    direct, whole, by_wrk, loads, used = [], [], [], [], {"direct": [], "whole": []}
    rate(through_caddy)
    for _ in range(rounds):
        loads.append(load())
        for rates, name, client in ((direct, "direct", lambda: from_php(address)), (whole, "whole", through_caddy)):
            pages_per_second, per_page = with_cpu(client)
            rates.append(pages_per_second)
            used[name].append(per_page)
        by_wrk.append(wrk())
    cost = [100 * (1 - ours / php) for ours, php in zip(whole, direct)]
    print(f"{CLIENTS} clients at once, {rounds} turns of {SECONDS} s each. Load before each turn: {', '.join(loads)}.\n")
    table(
        ("pages per second", "worst", "median", "best"),
        [
            (name, *(f"{value:.1f}" for value in (min(rates), median(rates), max(rates))))
            for name, rates in (("PHP-FPM asked directly", direct), ("through Caddy and nginx", whole),
                                ("the same, asked by wrk", by_wrk))
        ],
    )
    print("CPU per page, ms, medians; other load of the machine hardly changes these:\n")
    per_page = {way: {name: median([turn[name] for turn in turns]) for name in CONTAINERS} for way, turns in used.items()}
    table(
        ("", *CONTAINERS),
        [
            (name, *(f"{per_page[way][container]:.1f}" for container in CONTAINERS))
            for way, name in (("direct", "PHP-FPM asked directly"), ("whole", "through Caddy and nginx"))
        ],
    )
    ours = per_page["whole"]
    share = 100 * (ours["nginx"] + ours["Caddy"]) / sum(ours.values())
    print(f"nginx and Caddy use {share:.1f} % of a page's CPU.\n")
    lost = median(cost)
    print(
        f"Our path costs **{lost:.1f} %** of the pages per second (median of the turns, which lie between\n"
        f"{min(cost):.0f} and {max(cost):.0f} %; target: at most {TARGET} %: {'met' if lost <= TARGET else 'missed'}). "
        "Where the turns lie far apart, believe the CPU.\n\n"
        "Nothing is cached but PHP's code; PHP may use one core, nginx half of one. PHP-FPM gets a connection for\n"
        "each request, from us as from nginx."
    )


if __name__ == "__main__":
    main()
