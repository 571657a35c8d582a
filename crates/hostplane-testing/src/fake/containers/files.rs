//! Files in containers: in a volume where one is mounted, in the container's own layer elsewhere.

use std::collections::BTreeMap;

use super::super::injected::Parts;
use super::{ContainersState, FakeContainer, invalid};
use hostplane_infra::containers::{ARCHIVE_LIMIT, ArchiveEntry, paths};
use hostplane_infra::error::{Effect, EffectError};

/// Directories that every image has.
const IMAGE_DIRECTORIES: &[&str] = &["/bin", "/etc", "/home", "/opt", "/root", "/run", "/srv", "/tmp", "/usr", "/var"];

/// Storage of a path of a container.
enum Place<'a> {
    /// In a volume, at a path relative to its root (empty: the root itself).
    Volume { name: &'a str, path: &'a str, read_only: bool },
    /// In the container's own layer.
    Layer { path: &'a str },
}

/// The part of `path` below `dir`; empty for `dir` itself.
fn below<'a>(path: &'a str, dir: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(dir.trim_end_matches('/'))?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

impl FakeContainer {
    fn place<'a>(&'a self, path: &'a str) -> Place<'a> {
        let path = if path == "/" { "" } else { path.trim_end_matches('/') };
        let mounted = self.spec.mounts.iter().filter_map(|mount| Some((mount, below(path, &mount.path)?)));
        match mounted.max_by_key(|(mount, _)| mount.path.len()) {
            Some((mount, path)) => Place::Volume { name: &mount.volume, path, read_only: mount.read_only },
            None => Place::Layer { path },
        }
    }
}

/// The object at a path among files.
#[derive(PartialEq)]
enum Found {
    Nothing,
    Directory,
    File,
}

fn find(files: &BTreeMap<String, ArchiveEntry>, path: &str) -> Found {
    match files.get(path) {
        Some(entry) if entry.contents.is_some() => Found::File,
        Some(_) => Found::Directory,
        None if files.keys().any(|other| below(other, path).is_some()) => Found::Directory,
        None => Found::Nothing,
    }
}

fn put(files: &mut BTreeMap<String, ArchiveEntry>, path: &str, entry: &ArchiveEntry) {
    if entry.contents.is_some() {
        // A file in a directory's place takes all of it.
        files.retain(|other, _| below(other, path).is_none());
    }
    files.insert(path.to_owned(), ArchiveEntry { path: path.to_owned(), ..entry.clone() });
}

impl ContainersState {
    /// The contents of a file in a volume.
    #[must_use]
    pub fn read_file(&self, volume: &str, path: &str) -> Option<bytes::Bytes> {
        self.volumes.get(volume)?.files.get(path)?.contents.clone()
    }

    /// Puts a file into a volume, as root's and readable by all; does nothing without the volume.
    pub fn write_file(&mut self, volume: &str, path: &str, contents: impl Into<bytes::Bytes>) {
        if let Some(volume) = self.volumes.get_mut(volume) {
            let entry = ArchiveEntry { path: path.to_owned(), mode: 0o644, uid: 0, contents: Some(contents.into()) };
            volume.files.insert(path.to_owned(), entry);
        }
    }

    /// Deletes a file of a volume, if it is there.
    pub fn delete_file(&mut self, volume: &str, path: &str) {
        if let Some(volume) = self.volumes.get_mut(volume) {
            volume.files.remove(path);
        }
    }

    fn find(&self, container: &FakeContainer, path: &str) -> Found {
        match container.place(path) {
            Place::Volume { path: "", .. } => Found::Directory,
            Place::Volume { name, path, .. } => self.volumes.get(name).map_or(Found::Nothing, |v| find(&v.files, path)),
            Place::Layer { path } => {
                let holds = |other: &str| below(other, path).is_some();
                let known = container.spec.mounts.iter().any(|mount| holds(&mount.path))
                    || IMAGE_DIRECTORIES.iter().any(|directory| holds(directory));
                if known { Found::Directory } else { find(&container.files, path) }
            }
        }
    }

    /// A file as a program in the container sees it.
    pub(super) fn entry_at(&self, container: &FakeContainer, path: &str) -> Option<ArchiveEntry> {
        match container.place(path) {
            Place::Volume { name, path: "", .. } => {
                let volume = self.volumes.get(name)?;
                Some(ArchiveEntry { path: String::new(), mode: volume.mode, uid: volume.uid, contents: None })
            }
            Place::Volume { name, path, .. } => self.volumes.get(name)?.files.get(path).cloned(),
            Place::Layer { path } => container.files.get(path).cloned(),
        }
    }

    pub(super) fn upload(&mut self, id: &str, dir: &str, entries: &[ArchiveEntry], parts: &mut Parts) -> Effect<()> {
        let dir = paths::directory(dir)?;
        for entry in entries {
            paths::entry(&entry.path)?;
        }
        let (id, container) = self.existing(id)?;
        let (id, container) = (id.to_owned(), container.clone());
        match (self.find(&container, dir), container.place(dir)) {
            (Found::Nothing, _) => return Err(EffectError::NotFound(format!("{dir} in container {id}"))),
            (Found::File, _) => return Err(invalid("extraction point is not a directory")),
            (Found::Directory, Place::Volume { read_only: true, .. }) => {
                return Err(invalid("mounted volume is marked read-only"));
            }
            (Found::Directory, Place::Layer { .. }) if container.spec.read_only_root => {
                return Err(invalid("container rootfs is marked read-only"));
            }
            (Found::Directory, _) => {}
        }
        parts.next()?;
        for (number, entry) in entries.iter().enumerate() {
            if number == entries.len() / 2 {
                parts.next()?;
            }
            let path = format!("{}/{}", dir.trim_end_matches('/'), entry.path);
            match container.place(&path) {
                // Below a writable directory the Engine unpacks until it meets the mount.
                Place::Volume { read_only: true, .. } => {
                    return Err(EffectError::unknown_message("docker.upload", "read-only file system"));
                }
                Place::Volume { name, path, .. } => {
                    let Some(volume) = self.volumes.get_mut(name) else { continue };
                    if path.is_empty() {
                        (volume.mode, volume.uid) = (entry.mode, entry.uid);
                    } else {
                        put(&mut volume.files, path, entry);
                    }
                }
                Place::Layer { path } => {
                    if let Some(container) = self.container_mut(&id) {
                        put(&mut container.files, path, entry);
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn download(&self, id: &str, dir: &str) -> Effect<Vec<ArchiveEntry>> {
        let dir = paths::directory(dir)?;
        let (id, container) = self.existing(id)?;
        match self.find(container, dir) {
            Found::Nothing => return Err(EffectError::NotFound(format!("{dir} in container {id}"))),
            Found::File => return Err(invalid("not a directory")),
            Found::Directory => {}
        }
        let mut files = Vec::new();
        let mut collect = |root: &str, tree: &BTreeMap<String, ArchiveEntry>| {
            for (path, entry) in tree.iter().filter(|(_, entry)| entry.contents.is_some()) {
                let absolute = format!("{root}/{}", path.trim_start_matches('/'));
                if let Some(path) = below(&absolute, dir) {
                    files.push(ArchiveEntry { path: path.to_owned(), ..entry.clone() });
                }
            }
        };
        collect("", &container.files);
        for mount in &container.spec.mounts {
            if let Some(volume) = self.volumes.get(&mount.volume) {
                collect(mount.path.trim_end_matches('/'), &volume.files);
            }
        }
        let size: usize = files.iter().filter_map(|entry| entry.contents.as_ref()).map(bytes::Bytes::len).sum();
        if size > ARCHIVE_LIMIT {
            return Err(invalid(format!("the directory has more than {} MiB", ARCHIVE_LIMIT / 1024 / 1024)));
        }
        Ok(files)
    }

    pub(super) fn download_file(&self, id: &str, path: &str) -> Effect<Option<ArchiveEntry>> {
        let path = paths::file(path)?;
        let (id, container) = self.existing(id)?;
        match self.find(container, path) {
            Found::Nothing => Err(EffectError::NotFound(format!("{path} in container {id}"))),
            Found::Directory => Ok(None),
            Found::File => {
                Ok(self.entry_at(container, path).map(|entry| ArchiveEntry { path: path.to_owned(), ..entry }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_takes_whole_parts_of_paths() {
        assert_eq!(below("/a/b", "/a"), Some("b"));
        assert_eq!(below("/a", "/a/"), Some(""));
        assert_eq!(below("/ab", "/a"), None);
        assert_eq!(below("/a/b", "/"), Some("a/b"));
        assert_eq!(below("a/b", ""), None);
    }
}
