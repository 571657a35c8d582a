//! A versioned fingerprint of a desired state, stored with the thing that was made from it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The format's version: changing how specs are serialised must not look like drift by accident.
const VERSION: &str = "v1";

/// `v1-` and 32 hex digits: half of the SHA-256 of the spec's JSON, which holds neither the job nor a secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpecHash(String);

/// The text is not a spec hash of any version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a spec hash")]
pub struct BadSpecHash;

impl SpecHash {
    /// The fingerprint of anything that serialises to the same JSON each time.
    ///
    /// # Panics
    /// Never for the types of this crate: they serialise without failing.
    #[must_use]
    pub fn of(spec: &impl Serialize) -> Self {
        let json = serde_json::to_vec(spec).expect("specs serialise");
        let digest = hex::encode(Sha256::digest(json));
        Self(format!("{VERSION}-{}", &digest[..32]))
    }

    /// The text form.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SpecHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SpecHash {
    type Err = BadSpecHash;
    fn from_str(text: &str) -> Result<Self, BadSpecHash> {
        // Any version is read, so that an older one shows as a difference and not as a foreign object.
        let (version, digest) = text.split_once('-').ok_or(BadSpecHash)?;
        let number = version.strip_prefix('v').ok_or(BadSpecHash)?;
        let fits = !number.is_empty()
            && number.len() <= 3
            && number.bytes().all(|b| b.is_ascii_digit())
            && digest.len() == 32
            && digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if fits { Ok(Self(text.to_owned())) } else { Err(BadSpecHash) }
    }
}

impl TryFrom<String> for SpecHash {
    type Error = BadSpecHash;
    fn try_from(text: String) -> Result<Self, BadSpecHash> {
        text.parse()
    }
}

impl From<SpecHash> for String {
    fn from(hash: SpecHash) -> Self {
        hash.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_is_read_back_and_nothing_else_is() {
        let hash = SpecHash::of(&"x");
        assert_eq!(hash.as_str().parse(), Ok(hash.clone()));
        assert_eq!(String::from(hash.clone()), hash.to_string());
        let digest = "0123456789abcdef0123456789abcdef";
        assert!(format!("v12-{digest}").parse::<SpecHash>().is_ok(), "any version");
        for bad in [
            format!("v-{digest}"),
            format!("v1234-{digest}"),
            format!("vx-{digest}"),
            format!("1-{digest}"),
            format!("v1-{}", &digest[1..]),
            format!("v1-{digest}0"),
            format!("v1-{}", digest.to_uppercase()),
            format!("v1-{}g", &digest[1..]),
            "v1".to_owned(),
        ] {
            assert_eq!(bad.parse::<SpecHash>(), Err(BadSpecHash), "{bad}");
        }
    }
}
