"""The same two images, settings and installer, brought up by Docker Compose v2.

MariaDB runs already, as it does for ours; no proxy knows the site, and nginx's port is published instead.
"""

import json
import shutil
import subprocess
import time

from floor import FloorSite, Sql, WP_CONFIG, remove_database
from installation import WORK, until_full_front_page
from engine import Engine

PORT_LABEL = "80/tcp"


def _service(body, settings, target, fills):
    """A service of the site. Only one of the two may give the volume its owner, by what its image has there."""
    config = body["HostConfig"]
    files = {"type": "volume", "source": "files", "target": "/var/www/html", "volume": {"nocopy": not fills}}
    return {
        "image": body["Image"], "command": body["Cmd"], "user": body["User"], "labels": body["Labels"],
        "read_only": True, "cap_drop": config["CapDrop"], "security_opt": config["SecurityOpt"],
        "mem_limit": config["Memory"], "memswap_limit": config["MemorySwap"], "cpus": config["NanoCpus"] / 1e9,
        "pids_limit": config["PidsLimit"], "extra_hosts": config["ExtraHosts"] or [],
        "tmpfs": [f"{path}:{options}" for path, options in config["Tmpfs"].items()],
        "sysctls": config["Sysctls"] or {},
        "volumes": [files, f"./{settings}:{target}:ro"],
    }


def up(template, name):
    """Seconds from the first request to the first full front page."""
    site = FloorSite(template, name, "")
    directory = WORK / "compose" / name
    for part, files in (("php", template.php_files), ("nginx", template.nginx_files)):
        (directory / part).mkdir(parents=True)
        for path, _, _, text in files:
            (directory / part / path).write_bytes(template.named(text, name, site.site_id))
    php = _service(template.named(template.php, name, site.site_id), "php", "/etc/hostplane", True)
    nginx = _service(template.named(template.nginx, name, site.site_id), "nginx", "/etc/nginx/conf.d", False)
    php["container_name"] = f"php_{name}"
    nginx |= {"container_name": f"nginx_{name}", "depends_on": ["php"], "ports": ["127.0.0.1::80"]}
    # JSON is YAML, too.
    project = {"name": name, "services": {"php": php, "nginx": nginx}, "volumes": {"files": {}}}
    (directory / "compose.yaml").write_text(json.dumps(project).replace("$", "$$"))

    def docker_compose(*arguments):
        command = ["docker-compose", "--ansi", "never", "--progress", "quiet", "--project-directory", directory]
        subprocess.run([*command, *arguments], check=True, capture_output=True)

    begun = time.monotonic()
    try:
        site._database()
        docker_compose("up", "--detach")
        # Its own `exec` would be one more program to start; this way it is as fast as it can be.
        site._php_script(f"php_{name}", "unpack.php", "unpacked", wp_config=WP_CONFIG)
        site._php_script(
            f"php_{name}", "install.php", "installed", host=f"{name}.localhost", authority=f"{name}.localhost",
            title="Measured", user="admin", email="admin@example.org", password=site.site_id,
        )
        found = Engine().ask("GET", f"/containers/nginx_{name}/json")
        port = int(found["NetworkSettings"]["Ports"][PORT_LABEL][0]["HostPort"])
        until_full_front_page(name, port=port, headers={"X-Hostplane-Site": site.site_id})
        return time.monotonic() - begun
    except subprocess.CalledProcessError as error:
        raise RuntimeError(error.stderr.decode(errors="replace")) from error
    finally:
        docker_compose("down", "--volumes", "--timeout", "1")
        remove_database(name)
        shutil.rmtree(directory)
