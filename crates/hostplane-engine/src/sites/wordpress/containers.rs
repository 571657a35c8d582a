//! The two containers of a WordPress site: PHP-FPM on the site's own network alone, nginx on that and on the network
//! shared with Caddy. Both read their settings only when they start, so they are made anew when settings change.

use std::collections::BTreeSet;

use hostplane_domain::container;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::naming::{self, ResourceKind};
use hostplane_domain::render::SettingsVolume;
use hostplane_domain::spec_hash::SpecHash;

use crate::resources::container::Container;
use crate::resources::settings_files::files_of;

const NEEDS: &[ResourceKind] = &[ResourceKind::Network, ResourceKind::Settings];

pub(super) const PHP: Container = Container {
    kind: ResourceKind::PhpContainer,
    needs: NEEDS,
    spec: container::php,
    networks: |want| BTreeSet::from([naming::network(&want.site.name)]),
    spec_hash: php_hash,
};

pub(super) const NGINX: Container = Container {
    kind: ResourceKind::NginxContainer,
    needs: NEEDS,
    spec: container::nginx,
    networks: |want| BTreeSet::from([want.shared_network.clone(), naming::network(&want.site.name)]),
    spec_hash: nginx_hash,
};

fn php_hash(want: &DesiredSite) -> SpecHash {
    SpecHash::of(&(container::php(want), files_of(want, &[SettingsVolume::Php]), want.secret_version))
}

fn nginx_hash(want: &DesiredSite) -> SpecHash {
    SpecHash::of(&(container::nginx(want), files_of(want, &[SettingsVolume::Nginx])))
}
