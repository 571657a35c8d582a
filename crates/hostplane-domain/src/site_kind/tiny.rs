//! Tiny sites, which only tests have. Their one volume, one container and one route show that a kind of site needs no
//! change outside of its own files.

use serde::{Deserialize, Serialize};

/// The part of a desired site that only a tiny site has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TinySpec {
    /// The image of its container.
    pub image: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::DesiredSite;
    use crate::desired::tests::hello;
    use crate::site_change::{LimitsPatch, PhpPatch, SettingsPatch, SiteChange};
    use crate::site_kind::KindSpec;

    #[test]
    fn a_setting_of_php_is_refused() {
        let site = DesiredSite { kind: KindSpec::Tiny(TinySpec { image: "nginx:1".into() }), ..hello() };
        let limits = LimitsPatch { upload_mib: Some(32), ..LimitsPatch::default() };
        let settings = |php| SiteChange::Settings(SettingsPatch { limits, php }).apply(&site);
        assert_eq!(settings(PhpPatch::default()).unwrap().limits.upload_mib, 32);
        let refused = settings(PhpPatch { memory_mib: Some(128), ..PhpPatch::default() }).unwrap_err();
        assert_eq!((refused.field, refused.to_string().contains("kind tiny")), ("php", true), "{refused}");
    }
}
