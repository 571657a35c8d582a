//! Disk usage.

use hostplane_infra::containers::ArchiveEntry;

use super::harness::{Harness, file, not_found, transient};

pub async fn files_are_counted(harness: &Harness) {
    let mut spec = harness.spec("c");
    spec.mounts.push(harness.mount("v", "/data"));
    let id = harness.create(&spec).await;
    transient(harness.containers.usage(&id, "/data").await);
    harness.containers.start_container(&id).await.unwrap();
    let empty = harness.containers.usage(&id, "/data").await.unwrap();
    assert_eq!(empty.inodes, 1, "the directory itself");

    let large = ArchiveEntry { contents: Some(vec![b'x'; 300_000].into()), ..file("large", "") };
    harness.containers.upload(&id, "/data", &[large, file("small", "a text")]).await.unwrap();
    let found = harness.containers.usage(&id, "/data").await.unwrap();
    let grown = found.bytes - empty.bytes;
    assert_eq!(found.inodes, 3);
    assert!((304_000..400_000).contains(&grown) && grown.is_multiple_of(512), "whole blocks: {grown}");
    transient(harness.containers.usage(&id, "/no/such/directory").await);
    not_found(harness.containers.usage(&harness.name("none"), "/data").await);
}

pub async fn space(harness: &Harness) {
    let id = harness.run("c").await;
    let space = harness.containers.space(&id).await.unwrap();
    assert!(space.free > 0 && space.free <= space.total && space.free_inodes <= space.inodes, "{space:?}");
    harness.containers.stop_container(&id, 0).await.unwrap();
    transient(harness.containers.space(&id).await);
}
