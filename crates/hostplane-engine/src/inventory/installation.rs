//! The inventory: all objects of the installation at one moment, read in a constant number of calls.

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

use super::object::{ObjectKind, ObjectRef, OwnedObject};
use super::snapshot::{Fact, Snapshot, UNSETTLED};

/// All objects of the installation, as scanned.
pub(crate) struct Inventory {
    /// The beginning of the scan. Later changes may be missing.
    pub scanned_at: Timestamp,
    /// The dependency that could not be read. Without the Engine there is no inventory at all.
    pub unreachable: Option<EffectError>,
    instance: InstanceId,
    /// Objects under the names of sites, of any owner.
    sites: HashMap<SiteName, SiteObjects>,
    /// Objects with the installation's mark under a name that no site has.
    strays: Vec<OwnedObject>,
    /// Ok, or why the database server's tenants are unknown.
    tenants: Result<(), String>,
    /// The routes that Caddy serves, or why they are unknown.
    served: Result<Served, String>,
}

/// The listed objects under one site's names.
#[derive(Default)]
struct SiteObjects {
    containers: Vec<ContainerFacts>,
    volumes: Vec<VolumeFacts>,
    networks: Vec<NetworkFacts>,
    tenant: Option<TenantFacts>,
    snippet: Option<SnippetFacts>,
}

impl Inventory {
    /// Scans everything.
    ///
    /// # Errors
    /// When the Engine can't be read: then nothing can be concluded.
    pub async fn scan(world: &World, instance: InstanceId) -> Effect<Self> {
        let scanned_at = world.clock.now();
        let scope = Scope::Label(LABEL_INSTANCE.to_owned(), instance.to_string());
        let objects = async {
            try_join!(
                world.local().containers.containers(&scope),
                world.local().containers.volumes(&scope),
                world.local().containers.networks(&scope)
            )
        };
        let (objects, tenants, routes) =
            join!(objects, world.databases.tenants(&Tenants::All), world.local().proxy.routes());
        let (containers, volumes, networks) = objects?;
        let mut inventory = Self {
            scanned_at,
            unreachable: None,
            instance,
            // Each site has one network.
            sites: HashMap::with_capacity(networks.len()),
            strays: Vec::new(),
            tenants: Ok(()),
            served: Ok(Served::Unknown),
        };
        for container in containers {
            match inventory.site_of(&container.name) {
                Some(site) => add(&mut site.containers, container),
                None => inventory.stray(ObjectKind::Container, container.name, container.mark),
            }
        }
        for volume in volumes {
            match inventory.site_of(&volume.name) {
                Some(site) => add(&mut site.volumes, volume),
                None => inventory.stray(ObjectKind::Volume, volume.name, volume.mark),
            }
        }
        for network in networks {
            match inventory.site_of(&network.name) {
                Some(site) => add(&mut site.networks, network),
                None => inventory.stray(ObjectKind::Network, network.name, network.mark),
            }
        }
        match tenants {
            Ok(tenants) => {
                for tenant in tenants {
                    match inventory.site_of(&tenant.name) {
                        Some(site) => site.tenant = Some(tenant),
                        None => inventory.stray(ObjectKind::Database, tenant.name, tenant.ledger),
                    }
                }
            }
            Err(error) => {
                inventory.tenants = Err(error.to_string());
                inventory.unreachable = Some(error);
            }
        }
        match routes {
            Ok(routes) => {
                for snippet in routes.snippets {
                    match inventory.site_of(&snippet.file) {
                        Some(site) => site.snippet = Some(snippet),
                        None => inventory.stray(ObjectKind::Route, snippet.file, snippet.mark),
                    }
                }
                inventory.served = Ok(routes.served);
            }
            Err(error) => {
                inventory.served = Err(error.to_string());
                inventory.unreachable = inventory.unreachable.or(Some(error));
            }
        }
        Ok(inventory)
    }

    /// All objects with the installation's mark that were not taken out. Objects of the platform have no mark of a site
    /// and aren't among them.
    pub fn marked(&self) -> impl Iterator<Item = ObjectRef<'_>> {
        let listed = self.sites.values().flat_map(SiteObjects::marked);
        let strays = self.strays.iter().map(OwnedObject::as_ref);
        listed.chain(strays).filter(|object| object.mark.instance == self.instance)
    }

    /// Takes out the objects under a site's names.
    pub fn take(&mut self, site: &SiteName) -> Snapshot {
        let SiteObjects { containers, volumes, networks, tenant, snippet } =
            self.sites.remove(site).unwrap_or_default();
        let tenant = match &self.tenants {
            Ok(()) => Fact::Known(tenant),
            Err(why) => Fact::Unknown(why.clone()),
        };
        let route = match &self.served {
            // The routes that Caddy serves are known once it has loaded all of them since this process began.
            Ok(Served::Unknown) => Fact::Unknown(UNSETTLED.to_owned()),
            Ok(served) => {
                let may_be_served = served.may_have(&naming::snippet_file(site));
                Fact::Known(RouteFacts { snippet, may_be_served, is_settled: true })
            }
            Err(why) => Fact::Unknown(why.clone()),
        };
        Snapshot { containers, volumes, networks, tenant, route, ..Snapshot::default() }
    }

    fn site_of(&mut self, name: &str) -> Option<&mut SiteObjects> {
        Some(self.sites.entry(naming::site_of(name)?).or_default())
    }

    fn stray(&mut self, kind: ObjectKind, name: String, mark: Option<Mark>) {
        self.strays.extend(mark.map(|mark| OwnedObject { kind, name, mark }));
    }
}

impl SiteObjects {
    fn marked(&self) -> impl Iterator<Item = ObjectRef<'_>> {
        let containers = self.containers.iter().map(|it| (ObjectKind::Container, &it.name, &it.mark));
        let volumes = self.volumes.iter().map(|it| (ObjectKind::Volume, &it.name, &it.mark));
        let networks = self.networks.iter().map(|it| (ObjectKind::Network, &it.name, &it.mark));
        let tenant = self.tenant.iter().map(|it| (ObjectKind::Database, &it.name, &it.ledger));
        let snippet = self.snippet.iter().map(|it| (ObjectKind::Route, &it.file, &it.mark));
        let all = containers.chain(volumes).chain(networks).chain(tenant).chain(snippet);
        all.filter_map(|(kind, name, mark)| Some(ObjectRef { kind, name, mark: mark.as_ref()? }))
    }
}

/// Adds without spare room: a site has few objects of a sort, and there are thousands of sites.
fn add<T>(to: &mut Vec<T>, one: T) {
    to.reserve_exact(1);
    to.push(one);
}

#[cfg(test)]
mod tests {
    use hostplane_domain::ids::{JobId, SiteId};
    use hostplane_domain::mark::SiteRef;
    use hostplane_domain::naming::ResourceKind;
    use hostplane_domain::spec_hash::SpecHash;
    use hostplane_testing::fake::{FakeVolume, FakeWorld, ScriptedGate};
    use uuid::Uuid;

    use super::*;

    const INSTANCE: InstanceId = InstanceId::new(Uuid::from_u128(1));

    fn volume_of(site: &str) -> FakeVolume {
        let site = SiteRef { id: SiteId::new(Uuid::from_u128(2)), name: SiteName::parse(site).unwrap() };
        let (job, spec) = (JobId::new(Uuid::from_u128(3)), SpecHash::of(&"x"));
        FakeVolume::new(Mark { instance: INSTANCE, site, kind: ResourceKind::FilesVolume, job, spec }.to_labels())
    }

    #[tokio::test]
    async fn a_scan_takes_five_calls_for_all_sites() {
        let (fake, gate) = (FakeWorld::default(), ScriptedGate::new());
        let world = fake.behind(gate.clone());
        for sites in [0, 1, 50] {
            for site in 0..sites {
                let site = format!("s{site}");
                fake.state().containers.volumes.insert(format!("wp_{site}"), volume_of(&site));
            }
            let before = gate.calls().len();
            let mut inventory = Inventory::scan(&world, INSTANCE).await.unwrap();
            assert_eq!(gate.calls().len() - before, 5, "{sites} sites");
            assert_eq!(inventory.marked().count(), sites);
            for site in 0..sites {
                assert_eq!(inventory.take(&SiteName::parse(&format!("s{site}")).unwrap()).volumes.len(), 1);
            }
        }
    }
}
