//! Files in and out of containers, as tar archives built and read in memory.

use std::io::{Cursor, Read};
use std::time::{SystemTime, UNIX_EPOCH};

use bollard::Docker as Client;
use bollard::errors::Error as BollardError;
use bollard::query_parameters::DownloadFromContainerOptions;
use bytes::{Bytes, BytesMut};
use futures_util::TryStreamExt;
use tar::{Archive, Builder, EntryType, Header};

use crate::containers::paths::is_below;
use crate::containers::{ARCHIVE_LIMIT, ArchiveEntry};

/// Fault of an archive.
#[derive(Debug, thiserror::Error)]
pub(super) enum ArchiveError {
    #[error("the directory has more than {} MiB", ARCHIVE_LIMIT / 1024 / 1024)]
    TooLarge,
    #[error("the archive can't be packed")]
    Pack(#[source] std::io::Error),
    #[error("the archive can't be read")]
    Read(#[source] std::io::Error),
    #[error("the archive ends too early")]
    CutShort,
}

/// Packs entries, whose paths are checked already. Their time is now, so that programs comparing times see new files.
pub(super) fn pack(entries: &[ArchiveEntry]) -> Result<Bytes, ArchiveError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let mut builder = Builder::new(Vec::new());
    for entry in entries {
        let contents = entry.contents.as_deref().unwrap_or_default();
        let mut header = Header::new_gnu();
        header.set_entry_type(if entry.contents.is_some() { EntryType::Regular } else { EntryType::Directory });
        header.set_mode(entry.mode & 0o7777);
        header.set_uid(entry.uid.into());
        header.set_gid(entry.uid.into());
        header.set_mtime(now);
        header.set_size(contents.len() as u64);
        builder.append_data(&mut header, &entry.path, contents).map_err(ArchiveError::Pack)?;
    }
    builder.into_inner().map(Bytes::from).map_err(ArchiveError::Pack)
}

/// Appends `/.` to a directory, so that the archive's paths are relative to it and a symbolic link to it is followed.
pub(super) fn contents_of(dir: &str) -> String {
    format!("{}/.", dir.trim_end_matches('/'))
}

/// Downloads a path of a container as an archive.
pub(super) async fn fetch(
    client: &Client,
    container: &str,
    path: String,
) -> Result<Result<Bytes, ArchiveError>, BollardError> {
    let mut chunks = client.download_from_container(container, Some(DownloadFromContainerOptions { path }));
    let mut archive = BytesMut::new();
    while let Some(chunk) = chunks.try_next().await? {
        if archive.len() + chunk.len() > ARCHIVE_LIMIT {
            return Ok(Err(ArchiveError::TooLarge));
        }
        archive.extend_from_slice(&chunk);
    }
    Ok(Ok(archive.freeze()))
}

/// Unpacks the regular files. A tenant may have written any entry: links, special files and paths that leave the
/// directory are left out.
pub(super) fn unpack(archive: &[u8]) -> Result<Vec<ArchiveEntry>, ArchiveError> {
    const BLOCK: usize = 512;
    // The Engine ends the response normally after a failure in the middle, but without the archive's end mark.
    if archive.len() < 2 * BLOCK || archive[archive.len() - 2 * BLOCK..].iter().any(|&byte| byte != 0) {
        return Err(ArchiveError::CutShort);
    }
    let mut files = Vec::new();
    for entry in Archive::new(Cursor::new(archive)).entries().map_err(ArchiveError::Read)? {
        let mut entry = entry.map_err(ArchiveError::Read)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let path = path.strip_prefix("./").unwrap_or(&path);
        if entry.header().entry_type() != EntryType::Regular || !is_below(path) {
            continue;
        }
        let (path, header) = (path.to_owned(), entry.header());
        let mode = header.mode().map_err(ArchiveError::Read)? & 0o7777;
        let uid = header.uid().map_err(ArchiveError::Read)?;
        let mut contents = Vec::new();
        entry.read_to_end(&mut contents).map_err(ArchiveError::Read)?;
        files.push(ArchiveEntry {
            path,
            mode,
            uid: u32::try_from(uid).unwrap_or(u32::MAX),
            contents: Some(contents.into()),
        });
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, contents: &str) -> ArchiveEntry {
        let contents = Some(Bytes::copy_from_slice(contents.as_bytes()));
        ArchiveEntry { path: path.into(), mode: 0o640, uid: 33, contents }
    }

    #[test]
    fn only_files_are_unpacked() {
        let long = format!("{}/file", "d".repeat(150));
        let directory = ArchiveEntry { path: "sub".into(), mode: 0o755, uid: 33, contents: None };
        let entries = [directory, file("sub/a", "one"), file(&long, "two"), file("empty", "")];
        assert_eq!(unpack(&pack(&entries).unwrap()).unwrap(), entries[1..]);
    }

    fn header(kind: EntryType) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_size(0);
        header
    }

    #[test]
    fn hostile_entries_are_left_out() {
        let mut builder = Builder::new(Vec::new());
        for (kind, path) in [(EntryType::Regular, "ok"), (EntryType::Symlink, "link"), (EntryType::Fifo, "fifo")] {
            builder.append_data(&mut header(kind), path, &[][..]).unwrap();
        }
        for path in ["../up", "/root"] {
            let mut hostile = header(EntryType::Regular);
            hostile.as_mut_bytes()[..path.len()].copy_from_slice(path.as_bytes());
            hostile.set_cksum();
            builder.append(&hostile, &[][..]).unwrap();
        }
        let files = unpack(&builder.into_inner().unwrap()).unwrap();
        assert_eq!(files.iter().map(|file| file.path.as_str()).collect::<Vec<_>>(), ["ok"]);
    }

    #[test]
    fn a_truncated_archive_is_refused() {
        let whole = pack(&[file("a", "one"), file("b", "two")]).unwrap();
        for length in [0, 512, 1024, whole.len() - 512] {
            assert!(unpack(&whole[..length]).is_err(), "{length}");
        }
    }
}
