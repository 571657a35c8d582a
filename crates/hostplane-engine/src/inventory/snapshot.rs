//! What was found outside, at one moment: the input of every `observe`.

use std::collections::BTreeMap;

use futures_util::{join, try_join};
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::mark::Owner;
use hostplane_domain::name::SiteName;
use hostplane_domain::naming;
use hostplane_domain::render::SettingsVolume;
use hostplane_infra::containers::{ContainerFacts, ContainerState, NetworkFacts, Scope, Tuning, VolumeFacts};
use hostplane_infra::databases::{TenantFacts, Tenants};
use hostplane_infra::error::{Effect, EffectError};
use hostplane_infra::proxy::RouteFacts;
use hostplane_infra::wordpress::WordpressFacts;

use crate::context::SiteCx;
use crate::resources::serving;

/// What could be seen, or why it could not. Unknown is never taken for absent.
#[derive(Debug, Clone, Default)]
pub(crate) enum Fact<T> {
    Known(T),
    Unknown(String),
    /// Nobody looked.
    #[default]
    NotObserved,
}

/// The generated files that a site's containers read, by volume and name.
pub(crate) type SettingsFound = BTreeMap<(SettingsVolume, String), Vec<u8>>;

/// Everything under one site's names, whoever made it. In the beginning nothing is there, and nobody has looked
/// further.
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
    /// What is wrong with the front page, if anything is.
    pub page: Fact<Option<String>>,
}

/// Why a route is unknown that is on Caddy's disk.
pub(crate) const UNSETTLED: &str = "Caddy has not loaded its routes since the control plane began";

/// What may have been changed on a site's own containers, by their names.
pub(crate) type Tunings = BTreeMap<String, Tuning>;

/// How much a snapshot is to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Depth {
    /// What lists show.
    Shallow,
    /// Also what is inside the site's containers and volumes.
    Deep,
}

/// The names of a site's containers.
pub(crate) fn container_names(site: &SiteName) -> Vec<String> {
    vec![naming::php_container(site), naming::nginx_container(site), naming::writer_container(site)]
}

/// The names of a site's volumes.
pub(crate) fn volume_names(site: &SiteName) -> Vec<String> {
    vec![naming::files_volume(site), naming::php_volume(site), naming::nginx_volume(site)]
}

impl Snapshot {
    /// Looks at one site.
    ///
    /// # Errors
    /// When one of the lists can't be had: then nothing can be concluded. Facts from inside that can't be
    /// had are `Unknown`.
    pub async fn of_site(cx: &SiteCx<'_>, depth: Depth) -> Effect<Self> {
        let site = &cx.site.name;
        let world = cx.world;
        let names = |names: Vec<String>| Scope::Names(names);
        let (containers, volumes, networks) =
            (names(container_names(site)), names(volume_names(site)), names(vec![naming::network(site)]));
        let tenant = Tenants::Of(site.clone());
        let (containers, volumes, networks, tenants, route) = try_join!(
            world.containers.containers(&containers),
            world.containers.volumes(&volumes),
            world.containers.networks(&networks),
            world.databases.tenants(&tenant),
            world.proxy.route(site),
        )?;
        let mut snapshot = Self {
            containers,
            volumes,
            networks,
            tenant: Fact::Known(tenants.into_iter().next()),
            route: Fact::Known(route),
            tunings: Fact::NotObserved,
            settings: Fact::NotObserved,
            wordpress: Fact::NotObserved,
            page: Fact::NotObserved,
        };
        if depth == Depth::Deep {
            snapshot.read_deep_facts(cx).await;
        }
        Ok(snapshot)
    }

    /// Until Caddy has loaded everything once under this process's eyes, no route is known to be served, and that is no
    /// drift.
    pub fn doubt_unsettled_route(&mut self) {
        if matches!(&self.route, Fact::Known(route) if !route.is_settled) {
            self.route = Fact::Unknown(UNSETTLED.to_owned());
        }
    }

    /// Looks at what lists don't show.
    pub async fn read_deep_facts(&mut self, cx: &SiteCx<'_>) {
        let (tunings, settings, wordpress) =
            join!(self.read_tunings(cx), self.read_settings(cx), self.read_wordpress(cx));
        (self.tunings, self.settings, self.wordpress) = (tunings, settings, wordpress);
    }

    /// Asks for the front page, as a visitor would.
    pub async fn read_page(&mut self, cx: &SiteCx<'_>, want: &DesiredSite) {
        self.page = Fact::Known(serving::fault(cx, want, serving::FRONT_PAGE).await);
    }

    /// The site's own container of a name.
    fn own(&self, cx: &SiteCx<'_>, name: &str) -> Option<&ContainerFacts> {
        let mine = |c: &&ContainerFacts| c.name == name && matches!(cx.owner(c.mark.as_ref()), Owner::Ours(_));
        self.containers.iter().find(mine)
    }

    async fn read_tunings(&self, cx: &SiteCx<'_>) -> Fact<Tunings> {
        let mut tunings = Tunings::new();
        for name in [naming::php_container(&cx.site.name), naming::nginx_container(&cx.site.name)] {
            let Some(container) = self.own(cx, &name) else { continue };
            match cx.world.containers.tuning(&container.id).await {
                Ok(tuning) => drop(tunings.insert(name, tuning)),
                // It is gone since; the next list will tell.
                Err(EffectError::NotFound(_)) => {}
                Err(error) => return Fact::Unknown(error.to_string()),
            }
        }
        Fact::Known(tunings)
    }

    async fn read_settings(&self, cx: &SiteCx<'_>) -> Fact<SettingsFound> {
        let mut found = SettingsFound::new();
        let site = &cx.site.name;
        for (volume, container) in
            [(SettingsVolume::Php, naming::php_container(site)), (SettingsVolume::Nginx, naming::nginx_container(site))]
        {
            let Some(container) = self.own(cx, &container) else {
                return Fact::Unknown(format!("{container} isn't there to look into"));
            };
            match cx.world.containers.download(&container.id, volume.serving_dir()).await {
                Ok(files) => found
                    .extend(files.into_iter().filter_map(|file| Some(((volume, file.path), file.contents?.to_vec())))),
                Err(error) => return Fact::Unknown(error.to_string()),
            }
        }
        Fact::Known(found)
    }

    async fn read_wordpress(&self, cx: &SiteCx<'_>) -> Fact<WordpressFacts> {
        let name = naming::php_container(&cx.site.name);
        match self.own(cx, &name) {
            Some(php) if php.state == ContainerState::Running => match cx.world.wordpress.facts(&php.id).await {
                Ok(facts) => Fact::Known(facts),
                Err(error) => Fact::Unknown(error.to_string()),
            },
            _ => Fact::Unknown(format!("{name} doesn't run")),
        }
    }
}

/// Whether a list of volumes holds this site's of a name.
pub(crate) fn own_volume_exists(cx: &SiteCx<'_>, volumes: &[VolumeFacts], name: &str) -> bool {
    volumes.iter().any(|volume| volume.name == name && matches!(cx.owner(volume.mark.as_ref()), Owner::Ours(_)))
}
