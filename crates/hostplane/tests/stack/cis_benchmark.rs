//! The CIS Docker Benchmark's section 5, "Container Runtime" (numbers of version 1.6), on every container that an
//! installation makes. What is waived, and why, is in `docs/isolation.md`, and it is the same there as here.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::docker::{docker, inspect};
use crate::instance::Instance;

const DOCS: &str = include_str!("../../../../docs/isolation.md");
const ALL: &[&str] = &["caddy", "guard", "mariadb", "nginx", "php", "probe"];

struct Check {
    number: &'static str,
    what: &'static str,
    /// The containers of which it isn't asked.
    waived: &'static [&'static str],
    holds: fn(&Container) -> bool,
}

struct Container {
    part: &'static str,
    name: String,
    found: Value,
    /// The Engine's report of the machine.
    means: String,
}

impl Container {
    fn host(&self, key: &str) -> &Value {
        &self.found["HostConfig"][key]
    }

    fn security(&self) -> String {
        self.host("SecurityOpt").to_string()
    }

    fn mounts(&self) -> impl Iterator<Item = &Value> {
        self.found["Mounts"].as_array().into_iter().flatten()
    }

    /// Address and port of what it publishes.
    fn published(&self) -> Vec<(String, u16)> {
        let bindings = self.host("PortBindings").as_object().into_iter().flatten();
        let bindings = bindings.flat_map(|(_, bindings)| bindings.as_array().cloned().unwrap_or_default());
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        bindings.map(|each| (text(&each["HostIp"]), text(&each["HostPort"]).parse().expect("a port"))).collect()
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty) || value == ""
}

const CHECKS: &[Check] = &[
    Check {
        number: "4.1",
        what: "an ordinary user",
        waived: &["guard"],
        holds: |c| {
            c.found["Config"]["User"]
                .as_str()
                .is_some_and(|user| !user.is_empty() && !user.starts_with("0:") && user != "root")
        },
    },
    Check {
        number: "5.1",
        what: "an AppArmor profile, where the machine has AppArmor",
        waived: &[],
        holds: |c| {
            !c.means.contains("apparmor")
                || !is_empty(&c.found["AppArmorProfile"]) && c.found["AppArmorProfile"] != "unconfined"
        },
    },
    Check {
        number: "5.2",
        what: "SELinux is not set aside",
        waived: &[],
        holds: |c| !c.security().contains("label=disable") && !c.security().contains("label:disable"),
    },
    Check {
        number: "5.3",
        what: "no capabilities",
        waived: &["guard"],
        holds: |c| *c.host("CapDrop") == serde_json::json!(["ALL"]) && is_empty(c.host("CapAdd")),
    },
    Check { number: "5.4", what: "not privileged", waived: &[], holds: |c| *c.host("Privileged") == false },
    Check {
        number: "5.5",
        what: "no directory of the host",
        waived: &[],
        holds: |c| is_empty(c.host("Binds")) && c.mounts().all(|mount| mount["Type"] == "volume"),
    },
    Check {
        number: "5.6",
        what: "no SSH server",
        waived: &[],
        holds: |c| !docker(&["top", &c.name, "-eo", "pid,comm"]).contains("sshd"),
    },
    Check {
        number: "5.7",
        what: "no privileged port of the host",
        waived: &[],
        holds: |c| c.published().iter().all(|(_, port)| *port >= 1024),
    },
    Check {
        number: "5.8",
        what: "only the ports that are needed",
        waived: &[],
        holds: |c| {
            *c.host("PublishAllPorts") == false
                && c.published().len() == if matches!(c.part, "caddy" | "mariadb") { 2 } else { 0 }
        },
    },
    Check {
        number: "5.9",
        what: "not the host's network",
        waived: &["guard"],
        holds: |c| *c.host("NetworkMode") != "host",
    },
    Check {
        number: "5.10",
        what: "a limit of memory",
        waived: &[],
        holds: |c| c.host("Memory").as_u64() > Some(0) && c.host("MemorySwap") == c.host("Memory"),
    },
    Check {
        number: "5.11",
        what: "a limit of CPU",
        waived: &["caddy"],
        holds: |c| c.host("NanoCpus").as_u64() > Some(0),
    },
    Check {
        number: "5.12",
        what: "a read-only root file system",
        waived: &["caddy", "mariadb"],
        holds: |c| *c.host("ReadonlyRootfs") == true,
    },
    Check {
        number: "5.13",
        what: "published on one address",
        waived: &["caddy"],
        holds: |c| c.published().iter().all(|(address, _)| !matches!(address.as_str(), "" | "0.0.0.0" | "::")),
    },
    Check {
        number: "5.14",
        what: "restarted at most five times",
        waived: ALL,
        holds: |c| {
            c.host("RestartPolicy")["Name"] == "on-failure"
                && c.host("RestartPolicy")["MaximumRetryCount"].as_u64() <= Some(5)
        },
    },
    Check { number: "5.15", what: "not the host's processes", waived: &[], holds: |c| is_empty(c.host("PidMode")) },
    Check {
        number: "5.16",
        what: "not the host's IPC",
        waived: &[],
        holds: |c| matches!(c.host("IpcMode").as_str(), Some("private" | "shareable")),
    },
    Check {
        number: "5.17",
        what: "no device of the host",
        waived: &[],
        holds: |c| {
            is_empty(c.host("Devices")) && is_empty(c.host("DeviceRequests")) && is_empty(c.host("DeviceCgroupRules"))
        },
    },
    Check { number: "5.18", what: "the Engine's ulimits", waived: &[], holds: |c| is_empty(c.host("Ulimits")) },
    Check {
        number: "5.19",
        what: "no shared mount propagation",
        waived: &[],
        holds: |c| c.mounts().all(|mount| mount["Propagation"] != "shared" && mount["Propagation"] != "rshared"),
    },
    Check { number: "5.20", what: "not the host's UTS namespace", waived: &[], holds: |c| is_empty(c.host("UTSMode")) },
    Check {
        number: "5.21",
        what: "the Engine's seccomp profile",
        waived: &[],
        holds: |c| c.means.contains("seccomp") && !c.security().contains("seccomp"),
    },
    Check { number: "5.24", what: "the Engine's cgroup", waived: &[], holds: |c| is_empty(c.host("CgroupParent")) },
    Check {
        number: "5.25",
        what: "no new privileges",
        waived: &[],
        holds: |c| c.security().contains("no-new-privileges") && !c.security().contains("no-new-privileges:false"),
    },
    Check {
        number: "5.26",
        what: "a health check of the Engine's",
        waived: ALL,
        holds: |c| !is_empty(&c.found["Config"]["Healthcheck"]),
    },
    Check {
        number: "5.28",
        what: "a limit of processes",
        waived: &[],
        holds: |c| c.host("PidsLimit").as_u64() > Some(0),
    },
    Check {
        number: "5.29",
        what: "not Docker's own bridge",
        waived: &[],
        holds: |c| {
            let networks = c.found["NetworkSettings"]["Networks"].as_object().expect("networks");
            !networks.is_empty() && !networks.contains_key("bridge")
        },
    },
    Check {
        number: "5.30",
        what: "not the host's user namespace",
        waived: &[],
        holds: |c| is_empty(c.host("UsernsMode")),
    },
    Check {
        number: "5.31",
        what: "not the Engine's socket",
        waived: &[],
        holds: |c| !c.found["Mounts"].to_string().contains("docker.sock"),
    },
];

/// Every container that there is of an installation with a site.
pub fn no_container_gives_a_warning(instance: &Instance, site: &str) {
    let means = docker(&["info", "--format", "{{json .SecurityOptions}}"]);
    let tag = &instance.tag;
    let names = [
        ("caddy", format!("{tag}-caddy")),
        ("guard", format!("{tag}_guard")),
        ("mariadb", format!("{tag}-mariadb")),
        ("nginx", format!("nginx_{site}")),
        ("php", format!("php_{site}")),
        ("probe", format!("{tag}_probe")),
    ];
    let there: BTreeSet<String> = instance.containers().into_iter().collect();
    assert_eq!(there, names.iter().map(|(_, name)| name.clone()).collect(), "each is checked");
    let mut warnings = Vec::new();
    for (part, name) in names {
        let container = Container { part, found: inspect("container", &name), name, means: means.clone() };
        for check in CHECKS {
            let (holds, waived) = ((check.holds)(&container), check.waived.contains(&part));
            // A waiver that isn't needed any more goes.
            if holds == waived {
                let words = if holds { "is waived in vain" } else { "does not hold" };
                warnings.push(format!("{part}: {} {} {words}", check.number, check.what));
            }
        }
    }
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn the_waivers_are_those_of_the_docs() {
    let rows = DOCS.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let (number, parts) = (cells.next()?, cells.nth(1)?);
        let reason = cells.next()?.trim_end_matches('|').trim();
        let is_number = number.contains('.') && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        (is_number && parts != "none").then(|| {
            assert!(reason.len() > 20, "{number} has a reason");
            let parts: BTreeSet<&str> =
                if parts == "all" { ALL.iter().copied().collect() } else { parts.split(", ").collect() };
            (number, parts)
        })
    });
    let waived = CHECKS.iter().filter(|check| !check.waived.is_empty());
    let waived: Vec<_> =
        waived.map(|check| (check.number, check.waived.iter().copied().collect::<BTreeSet<_>>())).collect();
    assert_eq!(rows.collect::<Vec<_>>(), waived);
    for check in CHECKS {
        assert!(DOCS.contains(&format!("| {} | {} |", check.number, check.what)), "{} {}", check.number, check.what);
    }
}
