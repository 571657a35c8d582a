//! Tiny sites, which only tests have: a volume, a container and a route. They show that a kind of site needs no line
//! outside of its own folder and the registries.

use std::collections::BTreeSet;

use hostplane_domain::container::{ContainerSpec, NGINX_USER, VolumeMount};
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::naming::{self, ResourceKind as Kind};
use hostplane_domain::site_kind::tiny::TinySpec;
use hostplane_domain::site_kind::{KindSpec, SiteDetails, SiteKind};
use hostplane_domain::spec_hash::SpecHash;
use ipnet::Ipv4Net;

use super::Blueprint;
use crate::resources::Resource;
use crate::resources::container::Container;
use crate::resources::route::Route;
use crate::resources::serving::Serving;
use crate::resources::volume::Volume;
use crate::site_settings::SiteSettings;

/// The blueprint of tiny sites.
pub(super) struct Tiny;

const CONTAINER: Container = Container {
    kind: Kind::NginxContainer,
    needs: &[Kind::FilesVolume],
    spec: container,
    networks: |want| BTreeSet::from([want.shared_network.clone()]),
    spec_hash: |want| SpecHash::of(&container(want)),
};

const RESOURCES: &[&dyn Resource] = &[
    &Volume::of_data(Kind::FilesVolume),
    &CONTAINER,
    &Route::to(&[Kind::NginxContainer]),
    &Serving::at(&["/"], &[Kind::Route]),
];

impl Blueprint for Tiny {
    fn kind(&self) -> SiteKind {
        SiteKind::Tiny
    }

    fn resources(&self) -> &'static [&'static dyn Resource] {
        RESOURCES
    }

    fn new_spec(&self, _details: &SiteDetails, settings: &SiteSettings, _subnet: Option<Ipv4Net>) -> KindSpec {
        KindSpec::Tiny(TinySpec { image: settings.images.nginx.clone() })
    }
}

fn container(want: &DesiredSite) -> ContainerSpec {
    let KindSpec::Tiny(tiny) = &want.kind else { unreachable!("a tiny site") };
    let site = &want.site.name;
    ContainerSpec {
        name: naming::nginx_container(site),
        image: tiny.image.clone(),
        command: ["nginx", "-g", "daemon off;"].map(str::to_owned).to_vec(),
        user: NGINX_USER.to_owned(),
        network: Some(want.shared_network.clone()),
        mounts: vec![VolumeMount {
            volume: naming::files_volume(site),
            path: naming::DOCROOT.to_owned(),
            read_only: true,
        }],
        tmpfs: Vec::new(),
        env: Vec::new(),
        extra_hosts: Vec::new(),
        read_only_root: true,
        publish: Vec::new(),
        sysctls: Vec::new(),
        capabilities: Vec::new(),
        limits: want.limits.nginx,
        restart: true,
    }
}
