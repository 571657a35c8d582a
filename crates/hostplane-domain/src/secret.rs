//! Passwords, derived from one secret: none is stored, and none can be guessed from another.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::ids::SiteId;
use crate::probe_key::ProbeKey;

/// 32 characters that can't be mistaken for one another: 5 bits each.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// 28 characters of 5 bits: 140 bits.
const PASSWORD_LEN: usize = 28;

/// One generation of the installation's secret: 32 random bytes, in a file that only its owner reads.
pub struct MasterSecret(SecretBox<[u8; 32]>);

/// All generations of the installation's secret. New passwords come from the newest; earlier generations stay for
/// passwords that have not been renewed yet.
#[derive(Debug, Clone)]
pub struct Keyring(BTreeMap<u32, Arc<MasterSecret>>);

impl Keyring {
    /// The number of the generation that an installation begins with.
    pub const FIRST: u32 = 1;

    /// An installation's first secret.
    #[must_use]
    pub fn new(secret: MasterSecret) -> Self {
        Self(BTreeMap::from([(Self::FIRST, Arc::new(secret))]))
    }

    /// Builds a keyring from numbered generations; `None` without any.
    #[must_use]
    pub fn of(generations: impl IntoIterator<Item = (u32, MasterSecret)>) -> Option<Self> {
        let all: BTreeMap<_, _> = generations.into_iter().map(|(number, secret)| (number, Arc::new(secret))).collect();
        if all.is_empty() { None } else { Some(Self(all)) }
    }

    /// Adds a generation, which becomes the newest.
    #[must_use]
    pub fn followed_by(&self, secret: MasterSecret) -> Self {
        let mut all = self.0.clone();
        all.insert(self.newest() + 1, Arc::new(secret));
        Self(all)
    }

    /// Number of the newest generation, from which new and renewed passwords are derived.
    #[must_use]
    pub fn newest(&self) -> u32 {
        self.0.last_key_value().map_or(Self::FIRST, |(number, _)| *number)
    }

    /// The generation with this number, if there is one.
    #[must_use]
    pub fn get(&self, generation: u32) -> Option<&MasterSecret> {
        self.0.get(&generation).map(Arc::as_ref)
    }

    /// Every generation, the newest first.
    pub fn newest_first(&self) -> impl Iterator<Item = (u32, &MasterSecret)> {
        self.0.iter().rev().map(|(number, secret)| (*number, secret.as_ref()))
    }
}

/// Purpose of a derived secret. Each purpose gives an unrelated value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The password of the site's database user.
    SiteDatabase,
    /// The password of WordPress's first administrator.
    SiteAdmin,
    /// WordPress's keys and salts.
    SiteKeys,
    /// The key that signs questions to the site's WordPress.
    SiteProbe,
}

impl Purpose {
    /// Every purpose.
    pub const ALL: &[Self] = &[Self::SiteDatabase, Self::SiteAdmin, Self::SiteKeys, Self::SiteProbe];

    const fn as_str(self) -> &'static str {
        match self {
            Self::SiteDatabase => "site-database",
            Self::SiteAdmin => "site-admin",
            Self::SiteKeys => "site-keys",
            Self::SiteProbe => "site-probe",
        }
    }
}

impl MasterSecret {
    /// Wraps the secret's bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(SecretBox::new(Box::new(bytes)))
    }

    /// The bytes, for the secret's file.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }

    /// Derives a site's password: 28 characters, 140 bits. A later site of the same name has another id, so it inherits
    /// nothing; another version gives another password.
    #[must_use]
    pub fn site_password(&self, purpose: Purpose, site: SiteId, version: u32) -> SecretString {
        password(&self.derive(&format!("{}/{site}/{version}", purpose.as_str())))
    }

    /// Derives `count` keys for a site, of 64 hex digits each.
    #[must_use]
    pub fn site_keys(&self, site: SiteId, version: u32, count: u8) -> Vec<SecretString> {
        (0..count)
            .map(|n| {
                let key = self.derive(&format!("{}/{site}/{version}/{n}", Purpose::SiteKeys.as_str()));
                hex::encode(key).into()
            })
            .collect()
    }

    /// Derives the key that signs questions to a site's WordPress.
    #[must_use]
    pub fn probe_key(&self, site: SiteId, version: u32) -> ProbeKey {
        ProbeKey::from_seed(site, &self.derive(&format!("{}/{site}/{version}", Purpose::SiteProbe.as_str())))
    }

    /// Derives a password of the installation itself, such as the database administrator's.
    #[must_use]
    pub fn platform_password(&self, purpose: &str) -> SecretString {
        password(&self.derive(&format!("platform/{purpose}")))
    }

    fn derive(&self, info: &str) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).expect("HMAC takes a key of any length");
        mac.update(b"hostplane/v1/");
        mac.update(info.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for MasterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterSecret(…)")
    }
}

fn password(bytes: &[u8; 32]) -> SecretString {
    let text: String =
        bytes.iter().take(PASSWORD_LEN).map(|byte| char::from(ALPHABET[usize::from(byte & 31)])).collect();
    text.into()
}

/// Hashes a password as MariaDB's `mysql_native_password` does: `*` and the upper-case hex of
/// SHA-1(SHA-1(password)). MariaDB creates users from the hash, so no plaintext is sent.
#[must_use]
pub fn mariadb_hash(password: &SecretString) -> String {
    let twice = Sha1::digest(Sha1::digest(password.expose_secret()));
    format!("*{}", hex::encode_upper(twice))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use uuid::Uuid;

    fn site(n: u128) -> SiteId {
        SiteId::new(Uuid::from_u128(n))
    }

    #[test]
    fn golden_values_keep_existing_sites_passwords() {
        let secret = MasterSecret::new([7; 32]);
        let password = secret.site_password(Purpose::SiteDatabase, site(1), 1);
        assert_eq!(password.expose_secret(), "pbr3brnwfnr4jswxja9ssivxkfj5");
    }

    #[test]
    fn each_input_changes_the_password() {
        let mut seen = BTreeSet::new();
        for key in [1, 2] {
            for &purpose in Purpose::ALL {
                for id in [1, 2] {
                    for version in [1, 2] {
                        let secret = MasterSecret::new([key; 32]);
                        let password = secret.site_password(purpose, site(id), version);
                        assert_eq!(password.expose_secret().len(), PASSWORD_LEN);
                        seen.insert(password.expose_secret().to_owned());
                    }
                }
            }
        }
        assert_eq!(seen.len(), Purpose::ALL.len() * 8);
    }

    #[test]
    fn a_keyring_keeps_every_generation() {
        let password = |secret: &MasterSecret| secret.platform_password("test").expose_secret().to_owned();
        let (one, other) = (|| MasterSecret::new([1; 32]), || MasterSecret::new([2; 32]));
        let first = Keyring::new(one());
        let second = first.followed_by(other());
        assert_eq!((first.newest(), second.newest()), (1, 2));
        assert!(first.get(2).is_none() && second.get(0).is_none());
        assert_eq!(second.get(1).map(password), Some(password(&one())));
        assert_eq!(second.get(2).map(password), Some(password(&other())));
        let all: Vec<_> = second.newest_first().map(|(number, secret)| (number, password(secret))).collect();
        assert_eq!(all, [(2, password(&other())), (1, password(&one()))]);
        assert!(Keyring::of([]).is_none());
        let later = Keyring::of([(7, one()), (3, other())]).unwrap();
        assert_eq!((later.newest(), later.followed_by(one()).newest()), (7, 8));
        assert!(!format!("{later:?}").contains("[1, 1"), "{later:?}");
    }

    #[test]
    fn mariadb_hash_matches_the_server() {
        // SELECT PASSWORD('password') in MariaDB.
        assert_eq!(mariadb_hash(&"password".into()), "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19");
    }

    #[test]
    fn the_secret_is_not_printed() {
        assert_eq!(format!("{:?}", MasterSecret::new([7; 32])), "MasterSecret(…)");
    }

    #[test]
    fn keys_and_platform_passwords_differ() {
        let secret = MasterSecret::new([7; 32]);
        let site = SiteId::new(uuid::Uuid::from_u128(1));
        let text = |secret: &SecretString| secret.expose_secret().to_owned();
        let keys: std::collections::BTreeSet<String> = secret.site_keys(site, 1, 8).iter().map(text).collect();
        assert_eq!(keys.len(), 8);
        assert!(keys.iter().all(|key| key.len() == 64));
        let (one, other) = (secret.platform_password("one"), secret.platform_password("other"));
        assert!(text(&one).len() >= 28 && text(&one) != text(&other));
        assert_eq!(text(&one), text(&secret.platform_password("one")));
    }
}
