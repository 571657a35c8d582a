//! Request bodies that create containers, volumes and networks.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Ipam, IpamConfig, Mount, MountType, MountVolumeOptions,
    NetworkCreateRequest, PortBinding, PortMap, RestartPolicy, RestartPolicyNameEnum, VolumeCreateRequest,
};
use bytes::Bytes;
use hostplane_domain::bridges;
use hostplane_domain::container::{ContainerSpec, VolumeMount};
use hostplane_domain::mark::Labels;

use crate::containers::{NetworkSpec, Tuning};

/// Log files kept by rotation.
const LOG_FILES: &str = "3";
/// The bridge driver's option that names the interface.
const BRIDGE_NAME: &str = "com.docker.network.bridge.name";

fn map(labels: &Labels) -> HashMap<String, String> {
    labels.clone().into_iter().collect()
}

/// Body of a request to create a container. The image's entry point, where it has one, gets the command.
pub(super) fn container(spec: &ContainerSpec, labels: &Labels) -> ContainerCreateBody {
    let ports = port_map(spec);
    ContainerCreateBody {
        image: Some(spec.image.clone()),
        cmd: (!spec.command.is_empty()).then(|| spec.command.clone()),
        user: Some(spec.user.clone()),
        env: Some(spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(map(labels)),
        exposed_ports: Some(ports.keys().cloned().collect()),
        host_config: Some(host_config(spec, labels, ports)),
        ..Default::default()
    }
}

fn host_config(spec: &ContainerSpec, labels: &Labels, ports: PortMap) -> HostConfig {
    let tuning = Tuning::of(spec);
    let policy = if tuning.restarts { RestartPolicyNameEnum::ALWAYS } else { RestartPolicyNameEnum::NO };
    HostConfig {
        memory: Some(tuning.memory),
        memory_swap: Some(tuning.memory_and_swap),
        nano_cpus: Some(tuning.nano_cpus),
        pids_limit: Some(tuning.pids),
        cap_drop: Some(vec!["ALL".to_owned()]),
        cap_add: (!spec.capabilities.is_empty()).then(|| spec.capabilities.clone()),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        readonly_rootfs: Some(spec.read_only_root),
        tmpfs: Some(spec.tmpfs.iter().cloned().collect()),
        restart_policy: Some(RestartPolicy { name: Some(policy), maximum_retry_count: None }),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            config: Some(HashMap::from([
                ("max-size".to_owned(), format!("{}m", spec.limits.log_mib)),
                ("max-file".to_owned(), LOG_FILES.to_owned()),
            ])),
        }),
        mounts: Some(spec.mounts.iter().map(|volume| mount(volume, labels)).collect()),
        extra_hosts: Some(spec.extra_hosts.clone()),
        port_bindings: Some(ports),
        sysctls: Some(spec.sysctls.iter().cloned().collect()),
        network_mode: Some(spec.network.clone().unwrap_or_else(|| "none".to_owned())),
        ..Default::default()
    }
}

/// Mounts a volume without copying the image's files into it. A volume that the Engine makes implicitly gets the
/// container's labels.
fn mount(volume: &VolumeMount, labels: &Labels) -> Mount {
    Mount {
        typ: Some(MountType::VOLUME),
        source: Some(volume.volume.clone()),
        target: Some(volume.path.clone()),
        read_only: Some(volume.read_only),
        volume_options: Some(MountVolumeOptions {
            no_copy: Some(true),
            labels: Some(map(labels)),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn port_map(spec: &ContainerSpec) -> PortMap {
    let mut ports = PortMap::new();
    for (address, host_port, container_port) in &spec.publish {
        let binding = PortBinding { host_ip: Some(address.clone()), host_port: Some(host_port.to_string()) };
        let bindings = ports.entry(format!("{container_port}/tcp")).or_default();
        bindings.get_or_insert_default().push(binding);
    }
    ports
}

/// Body of a request to create a volume.
pub(super) fn volume(name: &str, labels: &Labels) -> VolumeCreateRequest {
    VolumeCreateRequest { name: Some(name.to_owned()), labels: Some(map(labels)), ..Default::default() }
}

/// Body of a request to create a network.
pub(super) fn network(spec: &NetworkSpec) -> NetworkCreateRequest {
    let ipam = spec.subnet.map(|subnet| Ipam {
        config: Some(vec![IpamConfig {
            subnet: Some(subnet.trunc().to_string()),
            // The Engine would choose the same, but lists show only an explicit gateway.
            gateway: subnet.hosts().next().map(|host| host.to_string()),
            ..Default::default()
        }]),
        ..Default::default()
    });
    // The packet filter recognises an installation's packets by the bridge's name.
    let bridge = bridges::bridge_of(&spec.name, &spec.labels);
    NetworkCreateRequest {
        name: spec.name.clone(),
        driver: Some("bridge".to_owned()),
        // Explicit, as an Engine may have another default.
        enable_ipv6: Some(false),
        options: bridge.map(|bridge| HashMap::from([(BRIDGE_NAME.to_owned(), bridge)])),
        labels: Some(map(&spec.labels)),
        ipam,
        ..Default::default()
    }
}

/// Serialises the body and adds `CheckDuplicate`, which bollard's model lacks and without which Engines before 25 make
/// a second network of the same name.
pub(super) fn network_json(request: &NetworkCreateRequest) -> Result<Bytes, serde_json::Error> {
    let mut body = serde_json::to_value(request)?;
    if let Some(fields) = body.as_object_mut() {
        fields.insert("CheckDuplicate".to_owned(), true.into());
    }
    serde_json::to_vec(&body).map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hostplane_domain::desired::ContainerLimits;

    #[test]
    fn a_container_has_every_restriction_of_its_spec() {
        let spec = ContainerSpec {
            name: "php_a".into(),
            image: "php:1".into(),
            command: vec!["php-fpm".into()],
            user: "33:33".into(),
            network: None,
            mounts: vec![VolumeMount { volume: "wp_a".into(), path: "/var/www/html".into(), read_only: true }],
            tmpfs: vec![("/tmp".into(), "size=1m".into())],
            env: Vec::new(),
            extra_hosts: vec!["a:host-gateway".into()],
            read_only_root: true,
            publish: vec![("127.0.0.1".into(), 8080, 80), ("10.0.0.1".into(), 8080, 80)],
            sysctls: vec![("net.ipv4.ip_unprivileged_port_start".into(), "0".into())],
            capabilities: vec!["NET_ADMIN".into()],
            limits: ContainerLimits { memory_mib: 64, cpu_milli: 500, pids: 16, log_mib: 10 },
            restart: true,
        };
        let labels = Labels::from([("k".into(), "v".into())]);
        let body = serde_json::to_value(container(&spec, &labels)).unwrap();
        let expected = serde_json::json!({
            "Image": "php:1", "Cmd": ["php-fpm"], "User": "33:33", "Env": [], "Labels": {"k": "v"},
            "ExposedPorts": {"80/tcp": {}},
            "HostConfig": {
                "Memory": 67_108_864, "MemorySwap": 67_108_864, "NanoCpus": 500_000_000, "PidsLimit": 16,
                "CapDrop": ["ALL"], "CapAdd": ["NET_ADMIN"], "SecurityOpt": ["no-new-privileges"], "ReadonlyRootfs": true,
                "Tmpfs": {"/tmp": "size=1m"}, "RestartPolicy": {"Name": "always"},
                "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}},
                "Mounts": [{
                    "Type": "volume", "Source": "wp_a", "Target": "/var/www/html", "ReadOnly": true,
                    "VolumeOptions": {"NoCopy": true, "Labels": {"k": "v"}},
                }],
                "ExtraHosts": ["a:host-gateway"], "NetworkMode": "none",
                "PortBindings": {"80/tcp": [
                    {"HostIp": "127.0.0.1", "HostPort": "8080"}, {"HostIp": "10.0.0.1", "HostPort": "8080"},
                ]},
                "Sysctls": {"net.ipv4.ip_unprivileged_port_start": "0"},
            },
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn a_network_is_a_checked_bridge() {
        let spec = NetworkSpec {
            name: "site_a".into(),
            subnet: Some("10.1.2.3/28".parse().unwrap()),
            labels: Labels::from([
                ("hostplane.instance".into(), "00000000-0000-0000-0000-000000000001".into()),
                ("hostplane.site-id".into(), "00000000-0000-0000-0000-000000000002".into()),
            ]),
        };
        let body: serde_json::Value = serde_json::from_slice(&network_json(&network(&spec)).unwrap()).unwrap();
        let expected = serde_json::json!({
            "Name": "site_a", "CheckDuplicate": true, "Driver": "bridge", "EnableIPv6": false,
            "Options": {"com.docker.network.bridge.name": bridges::bridge_of(&spec.name, &spec.labels)},
            "Labels": {
                "hostplane.instance": "00000000-0000-0000-0000-000000000001",
                "hostplane.site-id": "00000000-0000-0000-0000-000000000002",
            },
            "IPAM": {"Config": [{"Subnet": "10.1.2.0/28", "Gateway": "10.1.2.1"}]},
        });
        assert_eq!(body, expected);
    }
}
