//! Signed questions to a site's WordPress. The site holds the public half of the key, which opens nothing: a hole that
//! shows the site's files forges no question.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey};

use crate::ids::SiteId;
use crate::text_enum::text_enum;
use crate::url::SiteUrl;

/// The request header that carries a question: mode, time, nonce and signature.
pub const PROBE_HEADER: &str = "X-Hostplane-Probe";

/// The path of questions about WordPress itself.
pub const PROBE_PATH: &str = "/.well-known/hostplane";

text_enum!(
    /// The purpose of a question.
    ProbeMode, "mode of a probe" {
        /// WordPress's health, as soon as it is loaded.
        Alive = "alive",
        /// Any page as a visitor gets it, with WordPress's health in a header.
        Page = "page",
        /// Any page as the site's first administrator gets it, likewise. Taken once.
        Admin = "admin",
        /// PHP's compiled code is to be forgotten. Taken once.
        Reset = "reset",
    }
);

/// The key that signs questions to one site's WordPress.
#[derive(Clone)]
pub struct ProbeKey {
    site: SiteId,
    key: SigningKey,
}

/// A question, without its signature.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Its purpose.
    pub mode: ProbeMode,
    /// The site's address, which names the host.
    pub url: &'a SiteUrl,
    /// The path, with its query.
    pub path: &'a str,
    /// Seconds since 1970. The site takes a question for a minute.
    pub at: u64,
    /// Random bytes in hex, never used before: the answer repeats them.
    pub nonce: &'a str,
}

impl ProbeKey {
    pub(crate) fn from_seed(site: SiteId, seed: &[u8; 32]) -> Self {
        Self { site, key: SigningKey::from_bytes(seed) }
    }

    /// The public half, in hex.
    #[must_use]
    pub fn public(&self) -> String {
        hex::encode(self.key.verifying_key().as_bytes())
    }

    /// The value of [`PROBE_HEADER`] for a `GET` of the question's path.
    #[must_use]
    pub fn header(&self, question: &Question<'_>) -> String {
        let Question { mode, url, path, at, nonce } = question;
        let signed =
            format!("hostplane-probe-1\n{}\n{mode}\n{at}\n{nonce}\nGET\n{}\n{path}", self.site, url.authority());
        let signature = hex::encode(self.key.sign(signed.as_bytes()).to_bytes());
        format!("1:{mode}:{at}:{nonce}:{signature}")
    }
}

impl fmt::Debug for ProbeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProbeKey(of {})", self.site)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::secret::MasterSecret;

    fn url(host: &str) -> SiteUrl {
        SiteUrl { host: host.to_owned(), port: 80 }
    }

    #[test]
    fn each_part_of_a_question_is_signed() {
        let site = |n| SiteId::new(uuid::Uuid::from_u128(n));
        let secret = MasterSecret::new([7; 32]);
        let (one, other) = (url("one.test"), url("other.test"));
        let asked = Question { mode: ProbeMode::Alive, url: &one, path: "/", at: 5, nonce: "00" };
        let signature = |key: ProbeKey, question: Question<'_>| {
            key.header(&question).rsplit_once(':').expect("a signature").1.to_owned()
        };
        let all: BTreeSet<String> = [
            signature(secret.probe_key(site(1), 1), asked),
            signature(secret.probe_key(site(2), 1), asked),
            signature(secret.probe_key(site(1), 2), asked),
            signature(secret.probe_key(site(1), 1), Question { mode: ProbeMode::Reset, ..asked }),
            signature(secret.probe_key(site(1), 1), Question { url: &other, ..asked }),
            signature(secret.probe_key(site(1), 1), Question { path: "/x", ..asked }),
            signature(secret.probe_key(site(1), 1), Question { at: 6, ..asked }),
            signature(secret.probe_key(site(1), 1), Question { nonce: "01", ..asked }),
        ]
        .into();
        assert_eq!(all.len(), 8);
        assert!(all.iter().all(|signature| signature.len() == 128));
    }

    #[test]
    fn existing_keys_stay_and_the_private_half_never_shows() {
        let key = MasterSecret::new([7; 32]).probe_key(SiteId::new(uuid::Uuid::from_u128(1)), 1);
        assert_eq!(format!("{key:?}"), "ProbeKey(of 00000000-0000-0000-0000-000000000001)");
        assert_eq!(key.public(), "fc0b3e2f4f5fa6d2478188d4a9d21c5f45606e8a5539f0c6914d03be1537d722");
    }
}
