"""The floor: the cost of provisioning one site without any of our code.

It sends the Engine, MariaDB and Caddy the requests that change something, in the order that they depend on each
other and otherwise all at once, and observes nothing besides. Its requests are copied from a site that the control
plane has made, with another name, and the scripts are the product's own.
"""

import json
import os
import secrets
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pymysql

from engine import Engine
from installation import HTTP_PORT, TAG, TEMPLATE, WORK, api, host

CADDY, NETWORK = f"{TAG}-caddy", TAG
CADDY_DIR = "/etc/caddy"
LABEL = {"hostplane-bench": TAG}
SCRIPTS, CANDIDATE = Path("/scripts"), Path("/candidate.sh")
# The fields of a container's limits and confinement that the control plane sets.
HOST_CONFIG = """Memory MemorySwap NanoCpus PidsLimit CapDrop SecurityOpt ReadonlyRootfs Tmpfs RestartPolicy LogConfig
Mounts ExtraHosts PortBindings Sysctls NetworkMode""".split()


class Sql:
    """One connection; each statement is counted."""

    def __init__(self):
        port, password = int(os.environ["BENCH_MARIADB_PORT"]), (WORK / "password").read_text().strip()
        self._connection = pymysql.connect(
            host="127.0.0.1", port=port, user="bench", password=password, autocommit=True
        )
        self.calls = 0

    def __call__(self, statement):
        self.calls += 1
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._connection.close()


class Template:
    """What the control plane made for one site."""

    def __init__(self):
        engine = Engine()
        self.site_id = api("GET", f"/sites/{TEMPLATE}")["id"]
        self.php = self._container(engine, f"php_{TEMPLATE}")
        self.nginx = self._container(engine, f"nginx_{TEMPLATE}")
        self.php_files = engine.download(f"php_{TEMPLATE}", "/etc/hostplane")
        self.nginx_files = engine.download(f"nginx_{TEMPLATE}", "/etc/nginx/conf.d")
        snippets = {path: contents for path, _, _, contents in engine.download(CADDY, f"{CADDY_DIR}/sites")}
        self.snippet = snippets[f"{TEMPLATE}.caddy"].partition(b"\n")[2]
        with Sql() as sql:
            [[self.user]] = sql(f"SHOW CREATE USER `wp_{TEMPLATE}`@`%`")
            grants = sql(f"SHOW GRANTS FOR `wp_{TEMPLATE}`@`%`")
            [self.grant] = [grant for [grant] in grants if " ON `" in grant]
        self.connections = self.user.partition(" WITH ")[2]

    @staticmethod
    def _container(engine, name):
        found = engine.ask("GET", f"/containers/{name}/json")
        config = {key: found["HostConfig"].get(key) for key in HOST_CONFIG}
        for mount in config["Mounts"]:
            mount["VolumeOptions"] = {"NoCopy": True, "Labels": LABEL}
        body = {key: found["Config"][key] for key in ("Image", "Cmd", "User")}
        return {**body, "Env": [], "Labels": LABEL, "HostConfig": config}

    def named(self, what, name, site_id):
        """The same with another site's name and id."""
        if isinstance(what, bytes):
            return what.replace(TEMPLATE.encode(), name.encode()).replace(self.site_id.encode(), site_id.encode())
        if isinstance(what, str):
            return what.replace(TEMPLATE, name).replace(self.site_id, site_id)
        return json.loads(json.dumps(what).replace(TEMPLATE, name).replace(self.site_id, site_id))


class FloorSite:
    def __init__(self, template, name, subnet):
        self.template, self.name, self.subnet = template, name, subnet
        self.site_id = str(uuid.uuid4())
        self.engine = Engine()
        self.sql_calls = 0
        self.steps = {}

    def _named(self, what):
        return self.template.named(what, self.name, self.site_id)

    def _network(self):
        body = {"Name": f"site_{self.name}", "CheckDuplicate": True, "Driver": "bridge", "Labels": LABEL}
        body["IPAM"] = {"Config": [{"Subnet": self.subnet}]}
        return self.engine.ask("POST", "/networks/create", body)["Id"]

    def _volume(self, name):
        self.engine.ask("POST", "/volumes/create", {"Name": name, "Labels": LABEL})

    def _database(self):
        name = f"wp_{self.name}"
        with Sql() as sql:
            sql(self._named(self.template.user))
            sql(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci")
            sql(self._named(self.template.grant))
            self.sql_calls = sql.calls

    def _settings(self, volumes):
        for volume in volumes:
            volume.result()
        mounts = [
            {"Type": "volume", "Source": f"{volume}_{self.name}", "Target": f"/hostplane/{directory}",
             "VolumeOptions": {"NoCopy": True, "Labels": LABEL}}
            for volume, directory in (("wp", "files"), ("php", "php"), ("nginx", "nginx"))
        ]
        php = self._named(self.template.php)
        limits = {key: php["HostConfig"][key] for key in ("Memory", "MemorySwap", "NanoCpus", "PidsLimit", "CapDrop",
                                                          "SecurityOpt", "LogConfig")}
        body = {**php, "Cmd": ["php", "--version"], "HostConfig": {**limits, "Mounts": mounts, "NetworkMode": "none"}}
        writer = self.engine.ask("POST", f"/containers/create?name=writer_{self.name}", body)["Id"]
        members = [("files", 0o755, 33, None), ("php", 0o500, 33, None), ("nginx", 0o500, 101, None)]
        for directory, files in (("php", self.template.php_files), ("nginx", self.template.nginx_files)):
            members += [(f"{directory}/{path}", mode, uid, self._named(text)) for path, mode, uid, text in files]
        self.engine.upload(writer, "/hostplane", members)
        self.engine.ask("DELETE", f"/containers/{writer}?force=true&v=true")

    def _php(self, network, settings):
        network.result(), settings.result()
        body = self._named(self.template.php)
        made = self.engine.ask("POST", f"/containers/create?name=php_{self.name}", body)["Id"]
        self.engine.ask("POST", f"/containers/{made}/start")
        return made

    def _nginx(self, network, settings):
        network.result(), settings.result()
        body = self._named(self.template.nginx)
        made = self.engine.ask("POST", f"/containers/create?name=nginx_{self.name}", body)["Id"]
        self.engine.ask("POST", f"/networks/{network.result()}/connect", {"Container": made})
        self.engine.ask("POST", f"/containers/{made}/start")

    def _php_script(self, container, script, answer, **values):
        """The product's own script, with the input that the product gives it."""
        token = "hostplane-answer:"
        given = json.dumps({"token": token, "site": self.site_id, **values})
        given = given.replace("\\", "\\\\").replace("'", "\\'")
        common, script = ((SCRIPTS / name).read_text() for name in ("common.php", script))
        text = f"{common}\n$in = json_decode('{given}', true);\n{script}"
        printed = self.engine.run(container, ["php"], text.encode())
        if f'{token}"{answer}"'.encode() not in printed:
            raise RuntimeError(f"{answer} is not what was answered: {printed!r}")

    def _unpack(self, php):
        self._php_script(php.result(), "unpack.php", "unpacked", wp_config=WP_CONFIG)

    def _install(self, php, unpacked, database):
        unpacked.result(), database.result()
        name = host(self.name)
        self._php_script(
            php.result(), "install.php", "installed", host=name, authority=f"{name}:{HTTP_PORT}",
            title="Measured", user="admin", email=f"admin@{name}", password=secrets.token_urlsafe(24),
        )

    def _route(self, nginx):
        nginx.result()
        root = f"staging/{self.name}"
        members = [(path, 0o755, 1000, None) for path in ("staging", root, f"{root}/come")]
        members.append((f"{root}/come/{self.name}.caddy", 0o644, 1000, self._named(self.template.snippet)))
        self.engine.upload(CADDY, CADDY_DIR, members)
        links = f"/dev/shm/staging/{self.name}"
        candidate = ["sh", "-c", CANDIDATE.read_text(), "caddy", "load", CADDY_DIR, f"{CADDY_DIR}/{root}", links]
        self.engine.run(CADDY, ["timeout", "-k", "1", "15", "flock", "/dev/shm/staging.lock", *candidate])

    def make(self, clock):
        """Everything, as concurrently as it can be. Ends when WordPress is installed and Caddy has the route."""
        begun = clock()

        def timed(step, work, *arguments):
            def run():
                for argument in arguments:
                    if hasattr(argument, "result"):
                        argument.result()
                started = clock()
                value = work(*arguments)
                self.steps[step] = (started - begun, clock() - begun)
                return value

            return pool.submit(run)

        with ThreadPoolExecutor(16) as pool:
            network = timed("network", self._network)
            volumes = [timed(f"{kind} volume", self._volume, f"{kind}_{self.name}") for kind in ("wp", "php", "nginx")]
            database = timed("database", self._database)
            for volume in volumes:
                volume.result()
            settings = timed("settings", self._settings, volumes)
            php = timed("php container", self._php, network, settings)
            nginx = timed("nginx container", self._nginx, network, settings)
            unpacked = timed("unpacking", self._unpack, php)
            installed = timed("installing", self._install, php, unpacked, database)
            route = timed("route", self._route, nginx)
            installed.result(), route.result()
        return self.engine.calls(), self.sql_calls

    def remove(self):
        for kind in ("php", "nginx", "writer"):
            self.engine.remove(f"/containers/{kind}_{self.name}?force=true&v=true")
        self.engine.remove(f"/networks/site_{self.name}")
        for kind in ("wp", "php", "nginx"):
            self.engine.remove(f"/volumes/{kind}_{self.name}")
        remove_database(self.name)
        self.engine.run(CADDY, ["rm", "-rf", "--", f"{CADDY_DIR}/staging", f"{CADDY_DIR}/sites/{self.name}.caddy"])
        self.engine.run(CADDY, ["caddy", "reload", "--config", f"{CADDY_DIR}/Caddyfile", "--adapter", "caddyfile"])


def remove_database(name):
    with Sql() as sql:
        sql(f"DROP USER IF EXISTS `wp_{name}`@`%`")
        sql(f"DROP DATABASE IF EXISTS `wp_{name}`")


WP_CONFIG = """<?php
require '/etc/hostplane/wp-config.php';
if ( ! defined( 'ABSPATH' ) ) {
\tdefine( 'ABSPATH', __DIR__ . '/' );
}
require_once ABSPATH . 'wp-settings.php';
"""
