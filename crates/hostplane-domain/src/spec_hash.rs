//! Versioned hash of a desired state, stored with the resource that was made from it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Version of the format, raised when specs are serialised in another way: otherwise every site would show drift.
const VERSION: u16 = 1;

/// `v1-` and 32 hex digits: half of the SHA-256 of the spec's JSON, which holds neither the job nor a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SpecHash {
    version: u16,
    digest: [u8; 16],
}

/// The text is not a spec hash of any version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a spec hash")]
pub struct BadSpecHash;

impl SpecHash {
    /// Hashes a spec that serialises to the same JSON each time.
    ///
    /// # Panics
    /// When the spec can't be serialised; every type of this crate can.
    #[must_use]
    pub fn of(spec: &impl Serialize) -> Self {
        let json = serde_json::to_vec(spec).expect("specs serialise");
        let whole: [u8; 32] = Sha256::digest(json).into();
        let mut digest = [0; 16];
        digest.copy_from_slice(&whole[..16]);
        Self { version: VERSION, digest }
    }
}

impl fmt::Display for SpecHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}-{:032x}", self.version, u128::from_be_bytes(self.digest))
    }
}

impl FromStr for SpecHash {
    type Err = BadSpecHash;
    fn from_str(text: &str) -> Result<Self, BadSpecHash> {
        // Any version is read: an unreadable hash would make an older mark foreign.
        let (version, digits) = text.split_once('-').ok_or(BadSpecHash)?;
        let number = version.strip_prefix('v').ok_or(BadSpecHash)?;
        let is_number = number.len() <= 3 && number.bytes().all(|b| b.is_ascii_digit()) && !number.starts_with('0');
        let is_digest = digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let mut digest = [0; 16];
        if !is_number || !is_digest || hex::decode_to_slice(digits, &mut digest).is_err() {
            return Err(BadSpecHash);
        }
        Ok(Self { version: number.parse().map_err(|_| BadSpecHash)?, digest })
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
        hash.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_text_form_is_read() {
        let hash = SpecHash::of(&"x");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(String::from(hash), hash.to_string());
        let digest = "0123456789abcdef0123456789abcdef";
        assert!(format!("v12-{digest}").parse::<SpecHash>().is_ok(), "any version");
        for bad in [
            format!("v-{digest}"),
            format!("v1234-{digest}"),
            format!("v01-{digest}"),
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
