//! Everything that carries the installation's mark, of all kinds: a constant number of calls.

use std::fmt;

use futures_util::try_join;
use hostplane_domain::ids::InstanceId;
use hostplane_domain::mark::{LABEL_INSTANCE, Labels, Mark};
use hostplane_infra::containers::Scope;
use hostplane_infra::databases::Tenants;
use hostplane_infra::error::Effect;
use hostplane_infra::world::World;

/// Something with a mark of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// `container`, `volume`, `network`, `database`, `route`.
    pub what: &'static str,
    /// Under which name.
    pub name: String,
    /// Its mark.
    pub mark: Mark,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.what, self.name)
    }
}

/// Looks at everything. What belongs to the platform has no mark of a site and isn't among it.
///
/// # Errors
/// When one of the lists can't be had: then nothing can be concluded.
pub(super) async fn of_instance(world: &World, instance: InstanceId) -> Effect<Vec<Found>> {
    let scope = Scope::Label(LABEL_INSTANCE.to_owned(), instance.to_string());
    let (containers, volumes, networks, tenants, routes) = try_join!(
        world.containers.containers(&scope),
        world.containers.volumes(&scope),
        world.containers.networks(&scope),
        world.databases.tenants(&Tenants::All),
        world.proxy.routes(),
    )?;
    let found = |what, name: String, mark: Option<Mark>| {
        mark.filter(|mark| mark.instance == instance).map(|mark| Found { what, name, mark })
    };
    let labelled = |what, name, labels: &Labels| found(what, name, Mark::from_labels(labels));
    let containers = containers.into_iter().map(|c| labelled("container", c.name, &c.labels));
    let volumes = volumes.into_iter().map(|v| labelled("volume", v.name, &v.labels));
    let networks = networks.into_iter().map(|n| labelled("network", n.name, &n.labels));
    let tenants = tenants.into_iter().map(|t| found("database", t.name, t.ledger));
    let routes = routes.snippets.into_iter().map(|s| found("route", s.file, s.mark));
    Ok(containers.chain(volumes).chain(networks).chain(tenants).chain(routes).flatten().collect())
}
