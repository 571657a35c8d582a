//! The answer of a site from outside: content, or the maintenance page while it is suspended. It confirms the site.

use async_trait::async_trait;
use hostplane_domain::baseline::Baseline;
use hostplane_domain::desired::DesiredSite;
use hostplane_domain::health::Condition;
use hostplane_domain::naming::ResourceKind;
use hostplane_domain::observed::Reason;
use hostplane_domain::observed::{Difference, Observed, Remedy};
use hostplane_domain::spec_hash::SpecHash;
use hostplane_infra::error::{Effect, EffectError};
use tokio::time::{Instant, sleep};

use super::{Resource, within_ours};
use crate::context::{Intent, SiteCx};
use crate::inventory::ObjectKind;
use crate::inventory::health;
use crate::inventory::page;
use crate::inventory::snapshot::{Fact, Snapshot};

/// The site as visitors see it.
pub(crate) struct Serving {
    needs: &'static [ResourceKind],
    paths: &'static [&'static str],
    asks_wordpress: bool,
}

impl Serving {
    /// A site that serves when these paths answer.
    pub const fn at(paths: &'static [&'static str], needs: &'static [ResourceKind]) -> Self {
        Self { needs, paths, asks_wordpress: false }
    }

    /// A site that serves when its WordPress says so and these paths answer.
    pub const fn of_wordpress(paths: &'static [&'static str], needs: &'static [ResourceKind]) -> Self {
        Self { needs, paths, asks_wordpress: true }
    }

    /// The fault of WordPress: that it fails, and, of a site in service, didn't before.
    async fn wordpress_fault(&self, cx: &SiteCx<'_>, want: &DesiredSite) -> Option<String> {
        if !self.asks_wordpress || want.suspended {
            return None;
        }
        if cx.intent == Intent::New {
            return health::fault(cx, want).await;
        }
        let before = cx.baseline?.condition();
        if before >= Condition::Failing {
            return None;
        }
        let fault = health::fault(cx, want).await?;
        Some(format!("{fault}, which is worse than before the change ({before})"))
    }

    /// The fault of a page: of a new site, whatever keeps it from being one; of a site in service, what is worse than
    /// before, as its owner decides about all else.
    async fn page_fault(&self, cx: &SiteCx<'_>, want: &DesiredSite, path: &str) -> Option<String> {
        if cx.intent == Intent::New {
            return page::fault(cx, want, path).await;
        }
        let unknown = Baseline::default();
        page::worse(cx, want, path, cx.baseline.unwrap_or(&unknown)).await
    }
}

#[async_trait]
impl Resource for Serving {
    fn kind(&self) -> ResourceKind {
        ResourceKind::Serving
    }

    fn needs(&self) -> &'static [ResourceKind] {
        self.needs
    }

    fn object(&self) -> Option<ObjectKind> {
        None
    }

    fn is_visitors_view(&self) -> bool {
        true
    }

    fn asks_wordpress(&self) -> bool {
        self.asks_wordpress
    }

    fn paths(&self) -> &'static [&'static str] {
        self.paths
    }

    fn spec_hash(&self, want: &DesiredSite) -> SpecHash {
        let url = want.url.to_string();
        if want.suspended { SpecHash::of(&(url, "suspended")) } else { SpecHash::of(&url) }
    }

    fn within(&self) -> Option<ResourceKind> {
        Some(ResourceKind::Route)
    }

    /// Lists don't show it. When all else is as wanted, WordPress itself makes the page fail.
    fn observe(&self, cx: &SiteCx<'_>, want: Option<&DesiredSite>, seen: &Snapshot) -> Observed {
        let Some(want) = want else { return Observed::Absent };
        let fault = match &seen.page {
            Fact::NotObserved => return Observed::NotObserved,
            Fact::Unknown(why) => return Observed::Unknown(why.clone()),
            Fact::Known(fault) => fault,
        };
        let differs = fault.iter().map(|fault| Difference {
            reason: Reason::Page,
            field: "page",
            wanted: if want.suspended { "the maintenance page" } else { "a page with content" }.to_owned(),
            found: fault.clone(),
            remedy: Remedy::Operator,
        });
        within_ours(self.mark(cx, want), differs.collect())
    }

    /// One: `ensure` is patient in itself.
    fn tries(&self) -> u32 {
        1
    }

    async fn ensure(&self, cx: &SiteCx<'_>, want: &DesiredSite) -> Effect<()> {
        let begun = Instant::now();
        let failed = |path: &str, fault: String| {
            let message = format!("{}{path} answers with {fault}", want.url);
            if begun.elapsed() < cx.pace.serving_patience {
                return Ok(());
            }
            Err(EffectError::transient_message("probe.get", message))
        };
        for path in self.paths {
            while let Some(fault) = self.page_fault(cx, want, path).await {
                failed(path, fault)?;
                sleep(cx.pace.serving_pause).await;
            }
        }
        while let Some(fault) = self.wordpress_fault(cx, want).await {
            failed("", fault)?;
            sleep(cx.pace.serving_pause).await;
        }
        Ok(())
    }

    async fn remove(&self, _cx: &SiteCx<'_>) -> Effect<()> {
        Ok(())
    }
}
