//! Everything of the installation, at one moment: a constant number of calls, however many sites there are.

use std::collections::HashMap;

use futures_util::{join, try_join};
use hostplane_domain::ids::InstanceId;
use hostplane_domain::mark::{LABEL_INSTANCE, Mark};
use hostplane_domain::name::SiteName;
use hostplane_domain::naming;
use hostplane_infra::clock::Timestamp;
use hostplane_infra::containers::Scope;
use hostplane_infra::databases::Tenants;
use hostplane_infra::error::{Effect, EffectError};
use hostplane_infra::proxy::{RouteFacts, Served};
use hostplane_infra::world::World;

use crate::orphans::{Found, What};
use crate::snapshot::{Seen, Snapshot, UNSETTLED};

/// What was seen.
pub(crate) struct Host {
    /// From when on: what has changed since may be missing.
    pub looked_at: Timestamp,
    /// All that carries the installation's mark. What belongs to the platform has no mark of a site and isn't among it.
    pub found: Vec<Found>,
    /// The dependency that could not be asked, besides the Engine, without which nothing is seen at all.
    pub blind: Option<EffectError>,
    sites: HashMap<SiteName, Snapshot>,
    tenants: Seen<()>,
    routes: Seen<Served>,
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
        let others = tenants.as_ref().map_or(0, Vec::len) + routes.as_ref().map_or(0, |routes| routes.snippets.len());
        let all = containers.len() + volumes.len() + networks.len() + others;
        let mut host = Self {
            looked_at,
            found: Vec::with_capacity(all),
            blind: None,
            sites: HashMap::new(),
            tenants: Seen::Known(()),
            routes: Seen::NotAsked,
        };
        for container in containers {
            host.note(What::Container, &container.name, container.mark.as_ref(), instance);
            if let Some(snapshot) = host.site_of(&container.name) {
                snapshot.containers.push(container);
            }
        }
        for volume in volumes {
            host.note(What::Volume, &volume.name, volume.mark.as_ref(), instance);
            if let Some(snapshot) = host.site_of(&volume.name) {
                snapshot.volumes.push(volume);
            }
        }
        for network in networks {
            host.note(What::Network, &network.name, network.mark.as_ref(), instance);
            if let Some(snapshot) = host.site_of(&network.name) {
                snapshot.networks.push(network);
            }
        }
        match tenants {
            Err(error) => {
                host.tenants = Seen::Unknown(error.to_string());
                host.blind = Some(error);
            }
            Ok(tenants) => {
                for tenant in tenants {
                    host.note(What::Database, &tenant.name, tenant.ledger.as_ref(), instance);
                    if let Some(snapshot) = host.site_of(&tenant.name) {
                        snapshot.tenant = Seen::Known(Some(tenant));
                    }
                }
            }
        }
        match routes {
            Err(error) => {
                host.routes = Seen::Unknown(error.to_string());
                host.blind = host.blind.or(Some(error));
            }
            Ok(routes) => {
                for snippet in routes.snippets {
                    host.note(What::Route, &snippet.file, snippet.mark.as_ref(), instance);
                    if let Some(snapshot) = host.site_of(&snippet.file) {
                        let may_be_served = routes.served.may_have(&snippet.file);
                        let route = RouteFacts { snippet: Some(snippet), may_be_served, is_settled: true };
                        snapshot.route = Seen::Known(route);
                    }
                }
                host.routes = Seen::Known(routes.served);
            }
        }
        Ok(host)
    }

    /// Takes out what there is under a site's names.
    pub fn take(&mut self, site: &SiteName) -> Snapshot {
        let mut snapshot = self.sites.remove(site).unwrap_or_default();
        match &self.tenants {
            Seen::Known(()) if matches!(snapshot.tenant, Seen::NotAsked) => snapshot.tenant = Seen::Known(None),
            Seen::Unknown(why) => snapshot.tenant = Seen::Unknown(why.clone()),
            Seen::Known(()) | Seen::NotAsked => {}
        }
        match &self.routes {
            // Which route Caddy has is known once it has loaded all of them under this process's eyes.
            Seen::Known(Served::Unknown) => snapshot.route = Seen::Unknown(UNSETTLED.to_owned()),
            Seen::Known(served) if matches!(snapshot.route, Seen::NotAsked) => {
                let may_be_served = served.may_have(&naming::snippet_file(site));
                snapshot.route = Seen::Known(RouteFacts { snippet: None, may_be_served, is_settled: true });
            }
            Seen::Unknown(why) => snapshot.route = Seen::Unknown(why.clone()),
            Seen::Known(_) | Seen::NotAsked => {}
        }
        snapshot
    }

    fn site_of(&mut self, name: &str) -> Option<&mut Snapshot> {
        Some(self.sites.entry(naming::site_of(name)?).or_default())
    }

    fn note(&mut self, what: What, name: &str, mark: Option<&Mark>, instance: InstanceId) {
        if let Some(mark) = mark.filter(|mark| mark.instance == instance) {
            self.found.push(Found { what, name: name.to_owned(), mark: mark.clone() });
        }
    }
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
            assert_eq!(host.found.len(), sites);
            for site in 0..sites {
                assert_eq!(host.take(&SiteName::parse(&format!("s{site}")).unwrap()).volumes.len(), 1);
            }
        }
    }
}
