//! Lists of containers, volumes and networks, as facts.

use std::collections::{BTreeSet, HashMap};
use std::net::Ipv4Addr;

use bollard::Docker as Client;
use bollard::errors::Error as BollardError;
use bollard::models::{ContainerSummary, ContainerSummaryStateEnum, MountPoint, Network, Volume};
use bollard::query_parameters::{ListContainersOptions, ListNetworksOptions, ListVolumesOptions};
use hostplane_domain::container::VolumeMount;
use hostplane_domain::mark::{Labels, Mark};

use crate::containers::{ContainerFacts, ContainerState, NetworkFacts, Scope, VolumeFacts};

/// Most names in a request's filter. For more names, everything is listed and filtered here.
const MOST_NAMES: usize = 32;
/// Name that the Engine lists for containers without a network.
const NO_NETWORK: &str = "none";

type Filters = HashMap<String, Vec<String>>;

/// Filters for the Engine. Its filters by name are regular expressions, in some versions parts of names, so they only
/// narrow: [`ScopeFilter`] decides. `pattern` converts a name to a filter.
fn filters(scope: &Scope, pattern: impl Fn(&str) -> String) -> Option<Filters> {
    match scope {
        Scope::Names(names) if names.len() <= MOST_NAMES => {
            Some(Filters::from([("name".to_owned(), names.iter().map(|name| pattern(name)).collect())]))
        }
        Scope::All | Scope::Names(_) => None,
        Scope::Label(key, value) => Some(Filters::from([("label".to_owned(), vec![format!("{key}={value}")])])),
    }
}

/// Exact filter for the Engine's answers.
enum ScopeFilter<'a> {
    Any,
    Names(BTreeSet<&'a str>),
    Label(&'a str, &'a str),
}

impl<'a> ScopeFilter<'a> {
    fn of(scope: &'a Scope) -> Self {
        match scope {
            Scope::All => Self::Any,
            Scope::Names(names) => Self::Names(names.iter().map(String::as_str).collect()),
            Scope::Label(key, value) => Self::Label(key, value),
        }
    }

    fn has_name(&self, name: &str) -> bool {
        match self {
            Self::Names(names) => names.contains(name),
            Self::Any | Self::Label(..) => true,
        }
    }

    /// Takes all labels, as those of facts lack the mark's.
    fn has_labels(&self, labels: Option<&HashMap<String, String>>) -> bool {
        match self {
            Self::Label(key, value) => labels.and_then(|labels| labels.get(*key)).is_some_and(|found| found == value),
            Self::Any | Self::Names(_) => true,
        }
    }
}

/// True for a scope without names. The Engine takes an empty filter for all objects.
fn is_empty(scope: &Scope) -> bool {
    matches!(scope, Scope::Names(names) if names.is_empty())
}

pub(super) async fn containers(client: &Client, scope: &Scope) -> Result<Vec<ContainerFacts>, BollardError> {
    if is_empty(scope) {
        return Ok(Vec::new());
    }
    let filters = filters(scope, |name| format!("^/?{}$", escaped(name)));
    let options = ListContainersOptions { all: true, filters, ..Default::default() };
    let filter = ScopeFilter::of(scope);
    let found = client.list_containers(Some(options)).await?.into_iter();
    let found = found.filter(|summary| filter.has_labels(summary.labels.as_ref())).filter_map(container);
    Ok(found.filter(|facts| filter.has_name(&facts.name)).collect())
}

pub(super) async fn volumes(client: &Client, scope: &Scope) -> Result<Vec<VolumeFacts>, BollardError> {
    if is_empty(scope) {
        return Ok(Vec::new());
    }
    let options = ListVolumesOptions { filters: filters(scope, str::to_owned) };
    let filter = ScopeFilter::of(scope);
    let found = client.list_volumes(Some(options)).await?.volumes.unwrap_or_default().into_iter();
    let found = found.filter(|found| filter.has_labels(Some(&found.labels))).map(volume);
    Ok(found.filter(|facts| filter.has_name(&facts.name)).collect())
}

pub(super) async fn networks(client: &Client, scope: &Scope) -> Result<Vec<NetworkFacts>, BollardError> {
    if is_empty(scope) {
        return Ok(Vec::new());
    }
    let options = ListNetworksOptions { filters: filters(scope, str::to_owned) };
    let filter = ScopeFilter::of(scope);
    let found = client.list_networks(Some(options)).await?.into_iter();
    let found = found.filter(|found| filter.has_labels(found.labels.as_ref())).filter_map(network);
    Ok(found.filter(|facts| filter.has_name(&facts.name)).collect())
}

fn container(summary: ContainerSummary) -> Option<ContainerFacts> {
    // A linked container is listed under `/other/alias` too; its own name has one slash.
    let own = |name: &str| name.strip_prefix('/').filter(|rest| !rest.contains('/')).map(str::to_owned);
    let mut networks: Vec<String> = summary
        .network_settings
        .and_then(|settings| settings.networks)
        .unwrap_or_default()
        .into_keys()
        .filter(|name| name != NO_NETWORK)
        .collect();
    networks.sort();
    let mounts = summary.mounts.unwrap_or_default().into_iter().filter_map(mount);
    let mut mounts: Vec<VolumeMount> = mounts.collect();
    mounts.sort_by(|one, other| one.path.cmp(&other.path));
    let (mark, labels) = split(summary.labels);
    Some(ContainerFacts {
        id: summary.id?,
        // A half removed container may have no name.
        name: summary.names.unwrap_or_default().iter().find_map(|name| own(name)).unwrap_or_default(),
        mark,
        labels,
        image: summary.image.unwrap_or_default(),
        state: summary.state.map_or(ContainerState::Dead, state),
        // Lists show health only in a text: "Up 3 minutes (unhealthy)".
        unhealthy: summary.status.is_some_and(|status| status.ends_with("(unhealthy)")),
        networks,
        mounts,
    })
}

fn split(labels: Option<HashMap<String, String>>) -> (Option<Mark>, Labels) {
    Mark::split(&labels.unwrap_or_default().into_iter().collect())
}

/// Converts a mount. A bind mount has its path on the host in place of a volume's name.
fn mount(point: MountPoint) -> Option<VolumeMount> {
    let volume = point.name.filter(|name| !name.is_empty()).or(point.source).unwrap_or_default();
    Some(VolumeMount { volume, path: point.destination?, read_only: !point.rw.unwrap_or(true) })
}

fn state(state: ContainerSummaryStateEnum) -> ContainerState {
    match state {
        ContainerSummaryStateEnum::CREATED => ContainerState::Created,
        ContainerSummaryStateEnum::RUNNING => ContainerState::Running,
        ContainerSummaryStateEnum::EXITED => ContainerState::Exited,
        ContainerSummaryStateEnum::REMOVING => ContainerState::Removing,
        ContainerSummaryStateEnum::PAUSED => ContainerState::Paused,
        ContainerSummaryStateEnum::RESTARTING => ContainerState::Restarting,
        _ => ContainerState::Dead,
    }
}

pub(super) fn volume(volume: Volume) -> VolumeFacts {
    let (mark, labels) = split(Some(volume.labels));
    VolumeFacts { name: volume.name, mark, labels }
}

fn network(network: Network) -> Option<NetworkFacts> {
    let configs = network.ipam.and_then(|ipam| ipam.config).unwrap_or_default();
    let address = |text: &str| text.split('/').next().and_then(|text| text.parse::<Ipv4Addr>().ok());
    let (mark, labels) = split(network.labels);
    Some(NetworkFacts {
        id: network.id?,
        name: network.name?,
        mark,
        labels,
        subnets: configs.iter().filter_map(|config| config.subnet.as_deref()?.parse().ok()).collect(),
        gateway: configs.iter().find_map(|config| address(config.gateway.as_deref()?)),
    })
}

/// Escapes a name for a regular expression.
fn escaped(name: &str) -> String {
    let mut pattern = String::with_capacity(name.len());
    for character in name.chars() {
        if character.is_ascii_punctuation() && !matches!(character, '_' | '-' | '/') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_have_their_own_name_and_real_networks() {
        let names = vec!["/web/alias".to_owned(), "/php_a".to_owned()];
        let json = serde_json::json!({
            "Id": "7c1d", "Names": names, "State": "running", "Status": "Up 3 minutes (unhealthy)",
            "NetworkSettings": {"Networks": {"none": {}, "site_a": {}, "shared": {}}},
            "Mounts": [
                {"Type": "volume", "Name": "wp_a", "Destination": "/var/www/html", "RW": true},
                {"Type": "bind", "Source": "/srv", "Destination": "/srv", "RW": false},
            ],
        });
        let facts = container(serde_json::from_value(json).unwrap()).unwrap();
        assert_eq!(facts.name, "php_a");
        assert_eq!(facts.networks, ["shared", "site_a"]);
        assert_eq!((facts.state, facts.unhealthy), (ContainerState::Running, true));
        let mount = |volume: &str, path: &str, read_only| VolumeMount {
            volume: volume.to_owned(),
            path: path.to_owned(),
            read_only,
        };
        assert_eq!(facts.mounts, [mount("/srv", "/srv", true), mount("wp_a", "/var/www/html", false)]);
    }

    #[test]
    fn a_dual_stack_network_has_its_ipv4_facts() {
        let config = serde_json::json!([
            {"Subnet": "fd00::/64", "Gateway": "fd00::1"},
            {"Subnet": "10.1.0.0/28", "Gateway": "10.1.0.1/28"},
        ]);
        let json = serde_json::json!({"Id": "7c1d", "Name": "site_a", "IPAM": {"Config": config}});
        let facts = network(serde_json::from_value(json).unwrap()).unwrap();
        assert_eq!(facts.subnets, ["10.1.0.0/28".parse().unwrap()]);
        assert_eq!(facts.gateway, Some(Ipv4Addr::new(10, 1, 0, 1)));
    }

    #[test]
    fn names_are_escaped_in_filters() {
        assert_eq!(escaped("php_my-shop.1+"), "php_my-shop\\.1\\+");
    }
}
