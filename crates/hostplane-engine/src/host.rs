//! Everything of the installation, at one moment: a constant number of calls, however many sites there are.

use std::collections::HashMap;

use futures_util::{join, try_join};
use hostplane_domain::ids::InstanceId;
use hostplane_domain::mark::{LABEL_INSTANCE, Mark};
use hostplane_domain::name::SiteName;
use hostplane_domain::naming;
use hostplane_infra::clock::Timestamp;
use hostplane_infra::containers::{ContainerFacts, NetworkFacts, Scope, VolumeFacts};
use hostplane_infra::databases::{TenantFacts, Tenants};
use hostplane_infra::error::{Effect, EffectError};
use hostplane_infra::proxy::{RouteFacts, Served, SnippetFacts};
use hostplane_infra::world::World;

use crate::orphans::{Found, Sighting, What};
use crate::snapshot::{Seen, Snapshot, UNSETTLED};

/// What was seen.
pub(crate) struct Host {
    /// From when on: what has changed since may be missing.
    pub looked_at: Timestamp,
    /// The dependency that could not be asked, besides the Engine, without which nothing is seen at all.
    pub blind: Option<EffectError>,
    instance: InstanceId,
    /// What there is under the names of sites, whoever made it.
    sites: HashMap<SiteName, Listed>,
    /// What carries the installation's mark under a name that no site has.
    strays: Vec<Found>,
    /// Why the database server's tenants are unknown, if they are.
    tenants: Result<(), String>,
    /// What Caddy serves, or why that is unknown.
    served: Result<Served, String>,
}

/// What lists show under one site's names.
#[derive(Default)]
struct Listed {
    containers: Vec<ContainerFacts>,
    volumes: Vec<VolumeFacts>,
    networks: Vec<NetworkFacts>,
    tenant: Option<TenantFacts>,
    snippet: Option<SnippetFacts>,
}

impl Host {
    /// Looks at everything.
    ///
    /// # Errors
    /// When the Engine can't be asked: then nothing can be concluded.
    pub async fn look(world: &World, instance: InstanceId) -> Effect<Self> {
        let looked_at = world.clock.now();
        let scope = Scope::Label(LABEL_INSTANCE.to_owned(), instance.to_string());
        let objects = async {
            try_join!(
                world.containers.containers(&scope),
                world.containers.volumes(&scope),
                world.containers.networks(&scope)
            )
        };
        let (objects, tenants, routes) = join!(objects, world.databases.tenants(&Tenants::All), world.proxy.routes());
        let (containers, volumes, networks) = objects?;
        let mut host = Self {
            looked_at,
            blind: None,
            instance,
            // One network each.
            sites: HashMap::with_capacity(networks.len()),
            strays: Vec::new(),
            tenants: Ok(()),
            served: Ok(Served::Unknown),
        };
        for container in containers {
            match host.site_of(&container.name) {
                Some(site) => add(&mut site.containers, container),
                None => host.stray(What::Container, container.name, container.mark),
            }
        }
        for volume in volumes {
            match host.site_of(&volume.name) {
                Some(site) => add(&mut site.volumes, volume),
                None => host.stray(What::Volume, volume.name, volume.mark),
            }
        }
        for network in networks {
            match host.site_of(&network.name) {
                Some(site) => add(&mut site.networks, network),
                None => host.stray(What::Network, network.name, network.mark),
            }
        }
        match tenants {
            Ok(tenants) => {
                for tenant in tenants {
                    match host.site_of(&tenant.name) {
                        Some(site) => site.tenant = Some(tenant),
                        None => host.stray(What::Database, tenant.name, tenant.ledger),
                    }
                }
            }
            Err(error) => {
                host.tenants = Err(error.to_string());
                host.blind = Some(error);
            }
        }
        match routes {
            Ok(routes) => {
                for snippet in routes.snippets {
                    match host.site_of(&snippet.file) {
                        Some(site) => site.snippet = Some(snippet),
                        None => host.stray(What::Route, snippet.file, snippet.mark),
                    }
                }
                host.served = Ok(routes.served);
            }
            Err(error) => {
                host.served = Err(error.to_string());
                host.blind = host.blind.or(Some(error));
            }
        }
        Ok(host)
    }

    /// All that carries the installation's mark and was not taken out. What belongs to the platform has no mark of a
    /// site and isn't among it.
    pub fn marked(&self) -> impl Iterator<Item = Sighting<'_>> {
        let listed = self.sites.values().flat_map(Listed::marked);
        let strays = self.strays.iter().map(Found::sighting);
        listed.chain(strays).filter(|sighting| sighting.mark.instance == self.instance)
    }

    /// Takes out what there is under a site's names.
    pub fn take(&mut self, site: &SiteName) -> Snapshot {
        let Listed { containers, volumes, networks, tenant, snippet } = self.sites.remove(site).unwrap_or_default();
        let tenant = match &self.tenants {
            Ok(()) => Seen::Known(tenant),
            Err(why) => Seen::Unknown(why.clone()),
        };
        let route = match &self.served {
            // Which route Caddy has is known once it has loaded all of them under this process's eyes.
            Ok(Served::Unknown) => Seen::Unknown(UNSETTLED.to_owned()),
            Ok(served) => {
                let may_be_served = served.may_have(&naming::snippet_file(site));
                Seen::Known(RouteFacts { snippet, may_be_served, is_settled: true })
            }
            Err(why) => Seen::Unknown(why.clone()),
        };
        Snapshot { containers, volumes, networks, tenant, route, ..Snapshot::default() }
    }

    fn site_of(&mut self, name: &str) -> Option<&mut Listed> {
        Some(self.sites.entry(naming::site_of(name)?).or_default())
    }

    fn stray(&mut self, what: What, name: String, mark: Option<Mark>) {
        self.strays.extend(mark.map(|mark| Found { what, name, mark }));
    }
}

impl Listed {
    fn marked(&self) -> impl Iterator<Item = Sighting<'_>> {
        let containers = self.containers.iter().map(|it| (What::Container, &it.name, &it.mark));
        let volumes = self.volumes.iter().map(|it| (What::Volume, &it.name, &it.mark));
        let networks = self.networks.iter().map(|it| (What::Network, &it.name, &it.mark));
        let tenant = self.tenant.iter().map(|it| (What::Database, &it.name, &it.ledger));
        let snippet = self.snippet.iter().map(|it| (What::Route, &it.file, &it.mark));
        let all = containers.chain(volumes).chain(networks).chain(tenant).chain(snippet);
        all.filter_map(|(what, name, mark)| Some(Sighting { what, name, mark: mark.as_ref()? }))
    }
}

/// A site has few things of a sort, and there are thousands of sites: none gets room for things that don't come.
fn add<T>(to: &mut Vec<T>, one: T) {
    to.reserve_exact(1);
    to.push(one);
}

#[cfg(test)]
mod tests {
    use hostplane_domain::ids::{JobId, SiteId};
    use hostplane_domain::kind::Kind;
    use hostplane_domain::mark::SiteRef;
    use hostplane_domain::spec_hash::SpecHash;
    use hostplane_infra::fake::{FakeVolume, FakeWorld, ScriptedGate};
    use uuid::Uuid;

    use super::*;

    const INSTANCE: InstanceId = InstanceId::new(Uuid::from_u128(1));

    fn volume_of(site: &str) -> FakeVolume {
        let site = SiteRef { id: SiteId::new(Uuid::from_u128(2)), name: SiteName::parse(site).unwrap() };
        let (job, spec) = (JobId::new(Uuid::from_u128(3)), SpecHash::of(&"x"));
        FakeVolume::new(Mark { instance: INSTANCE, site, kind: Kind::FilesVolume, job, spec }.to_labels())
    }

    #[tokio::test]
    async fn a_look_costs_five_calls_however_many_sites_there_are() {
        let (fake, gate) = (FakeWorld::default(), ScriptedGate::new());
        let world = fake.behind(gate.clone());
        for sites in [0, 1, 50] {
            for site in 0..sites {
                let site = format!("s{site}");
                fake.state().containers.volumes.insert(format!("wp_{site}"), volume_of(&site));
            }
            let before = gate.calls().len();
            let mut host = Host::look(&world, INSTANCE).await.unwrap();
            assert_eq!(gate.calls().len() - before, 5, "{sites} sites");
            assert_eq!(host.marked().count(), sites);
            for site in 0..sites {
                assert_eq!(host.take(&SiteName::parse(&format!("s{site}")).unwrap()).volumes.len(), 1);
            }
        }
    }
}
