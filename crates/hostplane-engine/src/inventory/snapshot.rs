//! A snapshot of one site: the input of every `observe`.

use std::collections::BTreeMap;

use futures_util::{join, try_join};
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::mark::Owner;
use hostplane_domain::render::SettingsVolume;
use hostplane_infra::containers::{ContainerFacts, ContainerState, NetworkFacts, Scope, Tuning, VolumeFacts};
use hostplane_infra::databases::{TenantFacts, Tenants};
use hostplane_infra::error::{Effect, EffectError};
use hostplane_infra::proxy::RouteFacts;
use hostplane_infra::wordpress::WordpressFacts;

use super::page;
use super::scan_targets::ScanTargets;
use crate::context::SiteCx;

/// A fact, or why it is unknown. Unknown is never taken for absent.
#[derive(Debug, Clone, Default)]
pub(crate) enum Fact<T> {
    Known(T),
    Unknown(String),
    /// Not read by this scan.
    #[default]
    NotObserved,
}

/// The generated files that a site's containers read, by volume and name.
pub(crate) type SettingsFound = BTreeMap<(SettingsVolume, String), Vec<u8>>;

/// Everything under one site's names, of any owner. Empty and not observed by default.
#[derive(Debug, Clone, Default)]
pub(crate) struct Snapshot {
    pub containers: Vec<ContainerFacts>,
    pub volumes: Vec<VolumeFacts>,
    pub networks: Vec<NetworkFacts>,
    pub tenant: Fact<Option<TenantFacts>>,
    pub route: Fact<RouteFacts>,
    /// Facts that no list shows: they are read from the site's containers, one by one.
    pub tunings: Fact<Tunings>,
    pub settings: Fact<SettingsFound>,
    pub wordpress: Fact<WordpressFacts>,
    /// The fault of WordPress or of the front page; `None` when it has none.
    pub page: Fact<Option<String>>,
}

/// The reason for which a route on Caddy's disk is unknown.
pub(crate) const UNSETTLED: &str = "Caddy has not loaded its routes since the control plane began";

/// The values that can be changed on a site's own containers, by the containers' names.
pub(crate) type Tunings = BTreeMap<String, Tuning>;

/// The depth of a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Depth {
    /// Reads lists only.
    Shallow,
    /// Reads inside the site's containers and volumes too.
    Deep,
}

impl Snapshot {
    /// Reads one site.
    ///
    /// # Errors
    /// When one of the lists can't be read: then nothing can be concluded. Deep facts that can't be read are `Unknown`.
    pub async fn of_site(cx: &SiteCx<'_>, targets: &ScanTargets, depth: Depth) -> Effect<Self> {
        let site = &cx.site.name;
        let (world, host) = (cx.world, cx.host);
        let names = |names: &[String]| Scope::Names(names.to_vec());
        let (containers, volumes, networks) =
            (names(&targets.containers), names(&targets.volumes), names(&targets.networks));
        let tenant = Tenants::Of(site.clone());
        let (containers, volumes, networks, tenants, route) = try_join!(
            host.containers.containers(&containers),
            host.containers.volumes(&volumes),
            host.containers.networks(&networks),
            world.databases.tenants(&tenant),
            host.proxy.route(site),
        )?;
        let mut snapshot = Self {
            containers,
            volumes,
            networks,
            tenant: Fact::Known(tenants.into_iter().next()),
            route: Fact::Known(route),
            ..Self::default()
        };
        if depth == Depth::Deep {
            snapshot.read_deep_facts(cx, targets).await;
        }
        Ok(snapshot)
    }

    /// Makes the route unknown until Caddy has loaded everything once since this process began. An unknown route is no
    /// drift.
    pub fn doubt_unsettled_route(&mut self) {
        if matches!(&self.route, Fact::Known(route) if !route.is_settled) {
            self.route = Fact::Unknown(UNSETTLED.to_owned());
        }
    }

    /// Reads the facts that no list shows.
    async fn read_deep_facts(&mut self, cx: &SiteCx<'_>, targets: &ScanTargets) {
        let (tunings, settings, wordpress) = join!(
            self.read_tunings(cx, &targets.tuned),
            self.read_settings(cx, &targets.settings),
            self.read_wordpress(cx, targets.wordpress.as_deref())
        );
        (self.tunings, self.settings, self.wordpress) = (tunings, settings, wordpress);
    }

    /// Asks WordPress how it is, in a site that has one, and requests the front page as a visitor would.
    pub async fn read_page(&mut self, cx: &SiteCx<'_>, want: &DesiredSite, asks_wordpress: bool) {
        self.page = Fact::Known(page::fault_in_service(cx, want, asks_wordpress).await);
    }

    /// The site's own container of a name.
    fn own(&self, cx: &SiteCx<'_>, name: &str) -> Option<&ContainerFacts> {
        let mine = |c: &&ContainerFacts| c.name == name && matches!(cx.owner(c.mark.as_ref()), Owner::Ours(_));
        self.containers.iter().find(mine)
    }

    async fn read_tunings(&self, cx: &SiteCx<'_>, containers: &[String]) -> Fact<Tunings> {
        let mut tunings = Tunings::new();
        for name in containers {
            let Some(container) = self.own(cx, name) else { continue };
            match cx.host.containers.tuning(&container.id).await {
                Ok(tuning) => drop(tunings.insert(name.clone(), tuning)),
                // It was removed in the meantime, which the next scan shows.
                Err(EffectError::NotFound(_)) => {}
                Err(error) => return Fact::Unknown(error.to_string()),
            }
        }
        Fact::Known(tunings)
    }

    async fn read_settings(&self, cx: &SiteCx<'_>, targets: &[(SettingsVolume, String)]) -> Fact<SettingsFound> {
        let mut found = SettingsFound::new();
        for (volume, container) in targets {
            let Some(container) = self.own(cx, container) else {
                return Fact::Unknown(format!("{container} isn't there to be read through"));
            };
            match cx.host.containers.download(&container.id, volume.serving_dir()).await {
                Ok(files) => found
                    .extend(files.into_iter().filter_map(|file| Some(((*volume, file.path), file.contents?.to_vec())))),
                Err(error) => return Fact::Unknown(error.to_string()),
            }
        }
        Fact::Known(found)
    }

    async fn read_wordpress(&self, cx: &SiteCx<'_>, container: Option<&str>) -> Fact<WordpressFacts> {
        let Some(name) = container else { return Fact::NotObserved };
        match self.own(cx, name) {
            Some(php) if php.state == ContainerState::Running => match cx.host.wordpress.facts(&php.id).await {
                Ok(facts) => Fact::Known(facts),
                Err(error) => Fact::Unknown(error.to_string()),
            },
            _ => Fact::Unknown(format!("{name} doesn't run")),
        }
    }
}

/// True when a list of volumes holds this site's own volume of a name.
pub(crate) fn own_volume_exists(cx: &SiteCx<'_>, volumes: &[VolumeFacts], name: &str) -> bool {
    volumes.iter().any(|volume| volume.name == name && matches!(cx.owner(volume.mark.as_ref()), Owner::Ours(_)))
}
