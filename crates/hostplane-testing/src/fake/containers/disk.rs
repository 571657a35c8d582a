//! Disk usage in the fake: a file takes whole blocks, and every container is on the Engine's disk.

use hostplane_domain::disk::{DiskSpace, FilesUsage, MIB};

use super::{ContainersState, FakeContainer};
use hostplane_infra::containers::ContainerState;
use hostplane_infra::error::{Effect, EffectError};

/// Bytes of a block.
const BLOCK: u64 = 4096;
/// The disk where a test sets none.
const DISK: DiskSpace =
    DiskSpace { total: 100 * 1024 * MIB, free: 100 * 1024 * MIB, inodes: 1_000_000, free_inodes: 1_000_000 };

impl ContainersState {
    fn running(&self, id: &str, call: &'static str) -> Effect<&FakeContainer> {
        let (id, container) = self.existing(id)?;
        if container.state == ContainerState::Running {
            return Ok(container);
        }
        Err(EffectError::transient_message(call, format!("Container {id} is not running")))
    }

    pub(super) fn usage(&self, id: &str, dir: &str) -> Effect<FilesUsage> {
        let container = self.running(id, "docker.usage")?;
        let mount = container.spec.mounts.iter().find(|mount| mount.path == dir);
        let volume = mount.and_then(|mount| self.volumes.get(&mount.volume));
        let volume = volume.ok_or_else(|| EffectError::transient_message("docker.usage", "du gave no number"))?;
        let sizes = volume.files.values().map(|file| file.contents.as_ref().map_or(0, |bytes| bytes.len() as u64));
        let blocks: u64 = sizes.map(|size| size.div_ceil(BLOCK)).sum();
        Ok(FilesUsage { bytes: blocks * BLOCK + volume.bulk, inodes: volume.files.len() as u64 + 1 })
    }

    /// The platform's containers are none of this world's, so the container need not be there.
    pub(super) fn disk_space(&self, id: &str) -> Effect<DiskSpace> {
        if self.container(id).is_some() {
            self.running(id, "docker.space")?;
        }
        Ok(if self.space == DiskSpace::default() { DISK } else { self.space })
    }
}
