//! Disk usage, measured by programs in containers: the engine may be on another machine, and its own measurement walks
//! through everything that it has.

use bytes::Bytes;
use hostplane_domain::disk::{DiskSpace, FilesUsage};

use crate::containers::{Containers, Exec};
use crate::error::{Effect, EffectError};

/// Seconds after which a program ends by itself: an exec outlives its client.
const LIMIT_S: &str = "60";

/// Measures the files below a directory.
pub(super) async fn usage(containers: &dyn Containers, id: &str, dir: &str) -> Effect<FilesUsage> {
    let count =
        async |unit: &str| text(containers, id, &["du", "--summarize", "--one-file-system", unit, "--", dir]).await;
    let (bytes, inodes) = (count("--block-size=1").await?, count("--inodes").await?);
    let unreadable = || EffectError::transient_message("docker.usage", "du gave no number");
    FilesUsage::parse(&bytes, &inodes).ok_or_else(unreadable)
}

/// Measures the disk under the root. Its options are those that every `df` has.
pub(super) async fn space(containers: &dyn Containers, id: &str) -> Effect<DiskSpace> {
    let (bytes, inodes) =
        (text(containers, id, &["df", "-Pk", "/"]).await?, text(containers, id, &["df", "-Pi", "/"]).await?);
    let unreadable = || EffectError::transient_message("docker.space", "df gave no numbers");
    DiskSpace::parse(&bytes, &inodes).ok_or_else(unreadable)
}

/// The output of a program, whatever it ends with: files that vanish meanwhile make `du` end with 1.
async fn text(containers: &dyn Containers, id: &str, argv: &[&str]) -> Effect<String> {
    let limited = ["timeout", "-s", "KILL", LIMIT_S].iter().chain(argv);
    let exec = Exec { argv: limited.map(|word| (*word).to_owned()).collect(), user: None, stdin: Bytes::new() };
    let output = containers.exec(id, &exec).await?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
