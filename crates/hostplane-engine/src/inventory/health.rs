//! The health of a site's WordPress, asked of WordPress itself.

use hostplane_domain::desired::DesiredSite;
use hostplane_domain::health::Condition;
use hostplane_domain::probe_key::{PROBE_PATH, ProbeMode};
use tracing::debug;

use crate::context::SiteCx;

/// WordPress's answer, judged.
pub(crate) struct Judged {
    pub condition: Condition,
    /// The reason for a condition that is no good one.
    pub why: Option<String>,
}

/// Asks WordPress how it is.
pub(crate) async fn ask(cx: &SiteCx<'_>, want: &DesiredSite) -> Judged {
    match cx.world.probe.ask(&want.url, ProbeMode::Alive, PROBE_PATH, &cx.probe_key(want)).await {
        Ok(Some(health)) => Judged { condition: health.condition(), why: health.fault() },
        Ok(None) => {
            Judged { condition: Condition::Silent, why: Some("its WordPress doesn't answer Hostplane".to_owned()) }
        }
        Err(error) => Judged { condition: Condition::Silent, why: Some(error.to_string()) },
    }
}

/// The fault of a WordPress that says that it fails. One that doesn't answer, or lets the owner's code end requests,
/// says nothing of the kind: its pages decide.
pub(crate) async fn fault(cx: &SiteCx<'_>, want: &DesiredSite) -> Option<String> {
    let Judged { condition, why } = ask(cx, want).await;
    match condition {
        Condition::Failing => why,
        Condition::Silent => {
            let why = why.unwrap_or_default();
            debug!(site = %cx.site.name, why, "WordPress isn't asked: its hooks are missing, or the clocks differ");
            None
        }
        Condition::Serving | Condition::Intercepted => None,
    }
}

/// The cause of a page that fails, as far as WordPress knows it.
pub(crate) async fn cause(cx: &SiteCx<'_>, want: &DesiredSite, path: &str) -> Option<String> {
    let answer = cx.world.probe.ask(&want.url, ProbeMode::Page, path, &cx.probe_key(want)).await;
    answer.ok()??.fault()
}
