//! A site as a release would have left it that generates things otherwise.

use hostplane_domain::container::VolumeMount;
use hostplane_domain::mark::{LABEL_SPEC, Mark};
use hostplane_domain::name::SiteName;
use hostplane_domain::naming;
use hostplane_domain::spec_hash::SpecHash;

use crate::fake::State;

/// Leaves a site as if it were made by a release with another nginx template, mount, network, volume and route.
///
/// # Panics
/// When the site's route has no mark.
pub fn leave(state: &mut State, site: &SiteName) {
    let earlier = SpecHash::of(&"earlier");
    let spec = || (LABEL_SPEC.to_owned(), earlier.to_string());
    let containers = &mut state.containers;
    for container in [naming::php_container(site), naming::nginx_container(site)] {
        let Some(container) = containers.container_mut(&container) else { continue };
        container.labels.extend([spec()]);
        let volume = naming::files_volume(site);
        container.spec.mounts.push(VolumeMount { volume, path: "/earlier".to_owned(), read_only: true });
    }
    let network = naming::network(site);
    for network in containers.networks.values_mut().filter(|found| found.name == network) {
        network.labels.extend([spec()]);
    }
    for volume in [naming::files_volume(site), naming::php_volume(site), naming::nginx_volume(site)] {
        let Some(volume) = containers.volumes.get_mut(&volume) else { continue };
        volume.labels.extend([spec()]);
        if let Some(file) = volume.files.get_mut("default.conf") {
            let contents = file.contents.as_deref().unwrap_or_default();
            file.contents = Some([contents, b"# an earlier template\n"].concat().into());
        }
    }
    let file = naming::snippet_file(site);
    let Some(snippet) = state.proxy.snippets.get(&file) else { return };
    let (first, route) = snippet.split_once('\n').expect("a route of ours has a mark");
    let mark = Mark { spec: earlier, ..Mark::from_comment(first).expect("a route of ours has a mark") };
    let earlier = format!("{}\n{route}# an earlier template\n", mark.to_comment());
    for files in [&mut state.proxy.snippets, &mut state.proxy.loaded] {
        files.insert(file.clone(), earlier.clone());
    }
}
