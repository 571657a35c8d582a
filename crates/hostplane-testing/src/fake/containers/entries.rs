//! JSON form of files: [`ArchiveEntry`] has none of its own, as its contents may be secret.

use std::collections::BTreeMap;

use bytes::Bytes;
use hostplane_infra::containers::ArchiveEntry;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
struct Entry {
    path: String,
    mode: u32,
    uid: u32,
    contents: Option<Bytes>,
}

pub(super) fn serialize<S: Serializer>(
    files: &BTreeMap<String, ArchiveEntry>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(files.iter().map(|(key, entry)| {
        let ArchiveEntry { path, mode, uid, contents } = entry.clone();
        (key, Entry { path, mode, uid, contents })
    }))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, ArchiveEntry>, D::Error> {
    let files = BTreeMap::<String, Entry>::deserialize(deserializer)?;
    let entry = |Entry { path, mode, uid, contents }| ArchiveEntry { path, mode, uid, contents };
    Ok(files.into_iter().map(|(key, file)| (key, entry(file))).collect())
}
