//! A container's restrictions, seen by its own programs. Only a real Engine has them.

use hostplane_domain::bridges;
use hostplane_domain::container::HOST_NETWORK;
use hostplane_domain::mark::Labels;

use super::harness::{Harness, make_network, mark, on_engine};

async fn read(harness: &Harness, id: &str, path: &str) -> String {
    let output = harness.exec(id, &["cat", path], b"").await.expect("cat runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn a_container_is_as_confined_as_its_spec_says() {
    on_engine(confined).await;
}

async fn confined(harness: &Harness) {
    harness.network("n", 28).await;
    let mut spec = harness.spec("c");
    spec.network = Some(harness.name("n"));
    spec.mounts.push(harness.mount("v", "/data"));
    spec.tmpfs = vec![("/tmp".to_owned(), "rw,noexec,nosuid,nodev,size=1m,uid=33,gid=33,mode=0750".to_owned())];
    spec.env = vec![("SETTING".to_owned(), "value".to_owned())];
    spec.extra_hosts = vec!["host.docker.internal:host-gateway".to_owned()];
    spec.read_only_root = true;
    spec.sysctls = vec![("net.ipv4.ip_unprivileged_port_start".to_owned(), "0".to_owned())];
    spec.restart = true;
    let id = harness.create(&spec).await;
    harness.containers.start_container(&id).await.unwrap();

    let status = read(harness, &id, "/proc/self/status").await;
    for line in ["NoNewPrivs:\t1", "CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "Uid:\t33\t33\t33\t33"] {
        assert!(status.contains(line), "{line} is not in {status}");
    }
    let memory = ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"];
    assert_eq!((read(harness, &id, memory[0]).await + &read(harness, &id, memory[1]).await).trim(), "67108864");
    assert_eq!(read(harness, &id, "/proc/sys/net/ipv4/ip_unprivileged_port_start").await.trim(), "0");
    assert!(read(harness, &id, "/etc/hosts").await.contains("host.docker.internal"));
    assert!(read(harness, &id, "/proc/1/environ").await.contains("SETTING=value"));
    let touch = async |path| harness.exec(&id, &["touch", path], b"").await.unwrap().code;
    assert_eq!(touch("/tmp/x").await, 0);
    assert_ne!(touch("/var/tmp/x").await, 0, "the root is read-only");
    assert_ne!(touch("/data/x").await, 0, "a new volume is root's");
}

#[tokio::test]
async fn one_capability_and_the_machine_s_network_are_had_when_asked_for_and_bridges_have_their_names() {
    on_engine(on_the_machine_s_network).await;
}

async fn on_the_machine_s_network(harness: &Harness) {
    let labels: Labels = harness.labels().into_iter().chain(mark().to_labels()).collect();
    let (network, _) = make_network(&*harness.containers, &harness.name("n"), &labels, 28).await;
    let mut spec = harness.spec("c");
    spec.network = Some(HOST_NETWORK.to_owned());
    "0:0".clone_into(&mut spec.user);
    spec.capabilities = vec!["NET_ADMIN".to_owned()];
    spec.read_only_root = true;
    let id = harness.create(&spec).await;
    harness.containers.start_container(&id).await.unwrap();
    let status = read(harness, &id, "/proc/self/status").await;
    for line in ["NoNewPrivs:\t1", "CapEff:\t0000000000001000", "CapBnd:\t0000000000001000"] {
        assert!(status.contains(line), "{line} is not in {status}");
    }
    let interfaces = read(harness, &id, "/proc/net/dev").await;
    let bridge = bridges::bridge_of(&harness.name("n"), &labels).expect("an installation's");
    assert!(interfaces.contains(&format!("{bridge}:")), "{bridge} is not in {interfaces}");
    harness.containers.remove_network(&network).await.unwrap();
}
