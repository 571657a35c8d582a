//! `/doctor`: what has to work, each finding with what it means and what to type.

use std::io;
use std::path::Path;

use axum::Json;
use axum::extract::State;
use hostplane_engine::app::{Finding, Severity};

use super::Api;
use super::extract::Params;
use super::problem::Answer;
use super::wire::Examined;

/// The home's disk is nearly full when less than this is free. A job writes some kilobytes; a full disk stops all of them.
const LITTLE: u64 = 1024 * 1024 * 1024;
/// Nothing can be written any more, or soon.
const NOTHING: u64 = 64 * 1024 * 1024;

pub(super) async fn examine(State(api): State<Api>, params: Params) -> Answer<Json<Examined>> {
    params.only(&[])?;
    let mut findings = api.app.examine().await?;
    if let Some(home) = &api.home {
        findings.insert(1, disk(home, free(home)));
    }
    Ok(Json(findings.into()))
}

/// Bytes that can still be written, by whom is not root too.
fn free(path: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(path)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

fn disk(home: &Path, free: io::Result<u64>) -> Finding {
    let hint = format!("df -h {}; then make room there", home.display());
    match free {
        Ok(free) => {
            let message = format!("{} MiB are free for the control database", free / 1024 / 1024);
            match free {
                0..NOTHING => Finding::bad("disk", Severity::Error, format!("{message}: no job goes on"), hint),
                NOTHING..LITTLE => Finding::bad("disk", Severity::Warning, message, hint),
                LITTLE.. => Finding::ok("disk", message),
            }
        }
        Err(error) => {
            Finding::bad("disk", Severity::Error, format!("it can't be told how much is free: {error}"), hint)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_fills_up_is_told_in_time() {
        let severity = |free| disk(Path::new("/home"), free).severity;
        assert_eq!(severity(Ok(LITTLE)), Severity::Ok);
        assert_eq!(severity(Ok(LITTLE - 1)), Severity::Warning);
        assert_eq!(severity(Ok(NOTHING - 1)), Severity::Error);
        let unknown = disk(Path::new("/home"), Err(io::Error::other("no such disk")));
        assert_eq!(unknown.severity, Severity::Error);
        assert!(unknown.message.contains("no such disk") && unknown.hint.unwrap().contains("df -h /home"));
    }

    #[test]
    fn there_is_room_where_tests_run() {
        assert!(free(Path::new("/")).unwrap() > 0);
        free(Path::new("/nowhere/at/all")).unwrap_err();
    }
}
