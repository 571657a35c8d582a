//! `HOSTPLANE_HOME`: the directory with everything that an installation must not lose, and with the address and
//! token for the command line. One process at a time owns it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use hostplane_domain::secret::{Keyring, MasterSecret};
use hostplane_engine::secrets::KeepSecrets;
use secrecy::{ExposeSecret, SecretString};
use tempfile::NamedTempFile;

const LOCK: &str = "hostplane.lock";
const SECRET: &str = "secret";
/// Permission bits of group and others.
pub(crate) const NOT_THE_OWNER_S: u32 = 0o077;
const TOKEN: &str = "token";
const API_URL: &str = "api.url";
const DATABASE: &str = "hostplane.db";

/// Bytes of randomness in the secret and in a token.
const RANDOM: usize = 32;
/// Beginning of every token, so that scanners for leaked secrets find it.
const TOKEN_PREFIX: &str = "hp_";
/// Most bytes of a small file in the home.
const LONGEST: u64 = 4096;
/// Most bytes of the secret: its generations are never removed, and this is room for hundreds.
const LONGEST_SECRET: u64 = 64 * 1024;

/// An unusable home. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// A file or the directory can't be used.
    #[error("can't {action} {}", path.display())]
    Io {
        /// The failed action.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Another process owns it.
    #[error("another hostplane process works in {}; stop it first (`make down`, or end that process)", .0.display())]
    Locked(PathBuf),
    /// Others can read it.
    #[error("others can read {}; `chmod go= {}` takes that from them, if it is Hostplane's alone", .0.display(), .0.display())]
    Readable(PathBuf),
    /// The file holds no valid secret.
    #[error("{} does not hold secrets of 64 hexadecimal digits each; restore it from a backup: every password is derived from them", .0.display())]
    BadSecret(PathBuf),
    /// The database exists and its secret doesn't.
    #[error("{} is missing though the database exists; restore it from a backup: without it the passwords of existing sites are lost", .0.display())]
    NoSecret(PathBuf),
    /// The file holds no valid token.
    #[error("{} does not hold a token; remove the file to get a new one at the next start", .0.display())]
    BadToken(PathBuf),
    /// The machine has no randomness.
    #[error("no random bytes: {0}")]
    NoRandomness(getrandom::Error),
}

fn io_error<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> HomeError + 'a {
    move |source| HomeError::Io { action, path: path.to_owned(), source }
}

/// A home that this process owns until the value is dropped.
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    _lock: File,
}

impl Home {
    /// Makes the directory if it isn't there, and takes the lock.
    ///
    /// # Errors
    /// [`HomeError::Locked`] when another process has it; [`HomeError::Readable`] when others can read it.
    pub fn own(dir: &Path) -> Result<Self, HomeError> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io_error("make", dir))?;
        require_private(dir)?;
        // Absolute, so that it stays valid in messages and after a change of directory.
        let dir = fs::canonicalize(dir).map_err(io_error("find", dir))?;
        let path = dir.join(LOCK);
        let mut options = OpenOptions::new();
        let lock = options.write(true).create(true).truncate(false).mode(0o600).open(&path);
        let lock = lock.map_err(io_error("open", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(HomeError::Locked(dir)),
            Err(TryLockError::Error(source)) => Err(io_error("lock", &path)(source)),
        }
    }

    /// Its absolute path.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The database's default path.
    #[must_use]
    pub fn default_database(&self) -> PathBuf {
        self.dir.join(DATABASE)
    }

    /// The installation's secret, in all its generations. The first is made once, before there is a database.
    ///
    /// # Errors
    /// When it is malformed, readable by others, or missing though `database` exists.
    pub fn secret(&self, database: &Path) -> Result<Keyring, HomeError> {
        let path = self.dir.join(SECRET);
        if let Some(text) = read_private(&path, LONGEST_SECRET)? {
            return keyring(text.expose_secret()).ok_or(HomeError::BadSecret(path));
        }
        if fs::metadata(database).is_ok_and(|file| file.len() > 0) {
            return Err(HomeError::NoSecret(path));
        }
        let ring = Keyring::new(MasterSecret::new(random()?));
        write_private(&path, lines(&ring).expose_secret())?;
        Ok(ring)
    }

    /// The file that keeps new generations of the secret.
    #[must_use]
    pub fn keeper(&self) -> SecretFile {
        SecretFile(self.dir.join(SECRET))
    }

    /// The first token of the API, made when there is none.
    ///
    /// # Errors
    /// When it is malformed or readable by others.
    pub fn token(&self) -> Result<SecretString, HomeError> {
        if let Some(token) = read_token(&self.dir)? {
            return Ok(token);
        }
        let token = new_token()?;
        write_private(&self.dir.join(TOKEN), &format!("{}\n", token.expose_secret()))?;
        Ok(token)
    }

    /// Writes the address of the API, for the command line.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn announce(&self, url: &str) -> Result<(), HomeError> {
        write_private(&self.dir.join(API_URL), &format!("{url}\n"))
    }

    /// Removes the address of the API.
    pub fn withdraw(&self) {
        // A file that stays only leads to a port that doesn't answer.
        let _ = fs::remove_file(self.dir.join(API_URL));
    }
}

/// The file with the installation's secret.
#[derive(Debug)]
pub struct SecretFile(PathBuf);

impl KeepSecrets for SecretFile {
    fn add(&self, to: &Keyring) -> io::Result<Keyring> {
        let more = to.followed_by(MasterSecret::new(random().map_err(io::Error::other)?));
        let text = lines(&more);
        if text.expose_secret().len() as u64 >= LONGEST_SECRET {
            return Err(io::Error::other("there are too many generations of the secret already"));
        }
        write_private(&self.0, text.expose_secret()).map_err(io::Error::other)?;
        Ok(more)
    }
}

/// A line for each generation: its number and its digits. A line of digits alone is the first generation's.
fn keyring(text: &str) -> Option<Keyring> {
    let line = |line: &str| {
        let (number, digits) = line.split_once(' ').map_or(Some((Keyring::FIRST, line)), |(number, digits)| {
            Some((number.parse().ok().filter(|number| *number >= Keyring::FIRST)?, digits))
        })?;
        Some((number, MasterSecret::new(unhex(digits)?)))
    };
    let generations = text.lines().map(line).collect::<Option<Vec<_>>>()?;
    // Of two lines with the same number one would be lost.
    let count = generations.len();
    Keyring::of(generations).filter(|ring| ring.newest_first().count() == count)
}

fn lines(ring: &Keyring) -> SecretString {
    let mut lines: Vec<String> =
        ring.newest_first().map(|(number, secret)| format!("{number} {}\n", hex::encode(secret.expose()))).collect();
    lines.reverse();
    lines.concat().into()
}

/// Address of a home's API, for the command line.
///
/// # Errors
/// When the file is there and can't be read.
pub fn api_url(dir: &Path) -> Result<Option<String>, HomeError> {
    let path = dir.join(API_URL);
    let Some(text) = read(&path, LONGEST)? else { return Ok(None) };
    let url = text.expose_secret().trim();
    Ok(Some(url).filter(|url| !url.is_empty()).map(str::to_owned))
}

/// The token in a home, for the command line.
///
/// # Errors
/// When the file is there and can't be read, or is not a token.
pub fn read_token(dir: &Path) -> Result<Option<SecretString>, HomeError> {
    let path = dir.join(TOKEN);
    let Some(text) = read_private(&path, LONGEST)? else { return Ok(None) };
    let token = text.expose_secret().trim();
    let digits = token.strip_prefix(TOKEN_PREFIX).filter(|digits| unhex(digits).is_some());
    if digits.is_none() { Err(HomeError::BadToken(path)) } else { Ok(Some(token.into())) }
}

/// Makes a token of 256 random bits.
///
/// # Errors
/// When the machine has no randomness.
pub fn new_token() -> Result<SecretString, HomeError> {
    Ok(format!("{TOKEN_PREFIX}{}", hex::encode(random()?)).into())
}

fn random() -> Result<[u8; RANDOM], HomeError> {
    let mut bytes = [0; RANDOM];
    getrandom::fill(&mut bytes).map_err(HomeError::NoRandomness)?;
    Ok(bytes)
}

fn unhex(text: &str) -> Option<[u8; RANDOM]> {
    let mut bytes = [0; RANDOM];
    hex::decode_to_slice(text.trim(), &mut bytes).ok()?;
    Some(bytes)
}

fn require_private(path: &Path) -> Result<(), HomeError> {
    let mode = fs::metadata(path).map_err(io_error("inspect", path))?.permissions().mode();
    if mode & NOT_THE_OWNER_S == 0 { Ok(()) } else { Err(HomeError::Readable(path.to_owned())) }
}

fn read(path: &Path, longest: u64) -> Result<Option<SecretString>, HomeError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(io_error("open", path))?,
    };
    let mut text = String::new();
    file.take(longest).read_to_string(&mut text).map_err(io_error("read", path))?;
    Ok(Some(text.into()))
}

/// Reads a file that only its owner can read, up to `longest` bytes.
pub(crate) fn read_private(path: &Path, longest: u64) -> Result<Option<SecretString>, HomeError> {
    let text = read(path, longest)?;
    if text.is_some() {
        require_private(path)?;
    }
    Ok(text)
}

/// Writes a file that only its owner reads: whole or not at all, and on disk when this returns.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<(), HomeError> {
    let write = || -> io::Result<()> {
        let dir = path.parent().unwrap_or(Path::new("."));
        // Its mode is 0600 from the beginning.
        let mut file = NamedTempFile::new_in(dir)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(io_error("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn home() -> (TempDir, Home) {
        let dir = TempDir::new().unwrap();
        let home = Home::own(&dir.path().join("home")).unwrap();
        (dir, home)
    }

    fn passwords(ring: &Keyring) -> Vec<(u32, String)> {
        let password = |secret: &MasterSecret| secret.platform_password("test").expose_secret().to_owned();
        ring.newest_first().map(|(number, secret)| (number, password(secret))).collect()
    }

    #[test]
    fn only_the_owner_reads_it() {
        let (_dir, home) = home();
        home.secret(&home.default_database()).unwrap();
        home.token().unwrap();
        home.announce("http://127.0.0.1:7070").unwrap();
        assert_eq!(mode(home.dir()), 0o700);
        for file in [SECRET, TOKEN, API_URL, LOCK] {
            assert_eq!(mode(&home.dir().join(file)), 0o600, "{file}");
        }
    }

    #[test]
    fn one_process_at_a_time_owns_it() {
        let (_dir, home) = home();
        assert!(matches!(Home::own(home.dir()), Err(HomeError::Locked(_))));
        let path = home.dir().to_owned();
        drop(home);
        Home::own(&path).unwrap();
    }

    #[test]
    fn a_directory_that_others_can_read_is_refused() {
        let dir = TempDir::new().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(matches!(Home::own(dir.path()), Err(HomeError::Readable(_))));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_secret_is_made_once() {
        let (_dir, home) = home();
        let database = home.default_database();
        let first = home.secret(&database).unwrap();
        fs::write(&database, "x").unwrap();
        assert_eq!(passwords(&home.secret(&database).unwrap()), passwords(&first));
    }

    #[test]
    fn a_new_generation_keeps_the_old_one() {
        let (_dir, home) = home();
        let database = home.default_database();
        let first = home.secret(&database).unwrap();
        let second = home.keeper().add(&first).unwrap();
        let all = passwords(&second);
        assert_eq!((all.len(), all[0].0, &all[1]), (2, 2, &passwords(&first)[0]));
        assert_ne!(all[0].1, all[1].1);
        assert_eq!(passwords(&home.secret(&database).unwrap()), all);
        assert_eq!(mode(&home.dir().join(SECRET)), 0o600);
        let gone = SecretFile(home.dir().join("nowhere/secret"));
        assert!(gone.add(&first).is_err());
    }

    #[test]
    fn generations_end_where_the_file_is_full() {
        let (_dir, home) = home();
        let database = home.default_database();
        let mut ring = home.secret(&database).unwrap();
        while lines(&ring).expose_secret().len() as u64 + 200 < LONGEST_SECRET {
            ring = ring.followed_by(MasterSecret::new([7; 32]));
        }
        let error = loop {
            match home.keeper().add(&ring) {
                Ok(more) => ring = more,
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("too many"), "{error}");
        assert_eq!(passwords(&home.secret(&database).unwrap()), passwords(&ring));
        assert!(ring.newest() > 800);
    }

    #[test]
    fn digits_alone_are_the_first_generation() {
        let (_dir, home) = home();
        write_private(&home.dir().join(SECRET), &format!("{}\n", "ab".repeat(32))).unwrap();
        let ring = home.secret(&home.default_database()).unwrap();
        assert_eq!(passwords(&ring), passwords(&Keyring::new(MasterSecret::new([0xab; 32]))));
    }

    #[test]
    fn an_unusable_secret_is_refused() {
        let (_dir, home) = home();
        let (database, path) = (home.default_database(), home.dir().join(SECRET));
        fs::write(&database, "x").unwrap();
        assert!(matches!(home.secret(&database), Err(HomeError::NoSecret(_))));
        let good = "ab".repeat(32);
        let twice = format!("1 {good}\n1 {good}\n");
        let [zeroth, nameless, empty] = [format!("0 {good}"), format!("x {good}"), format!("1 {good}\n\n")];
        for bad in ["", "abc", &"g".repeat(64), &"ab".repeat(33), &twice, &zeroth, &nameless, &empty] {
            write_private(&path, bad).unwrap();
            assert!(matches!(home.secret(&database), Err(HomeError::BadSecret(_))), "{bad:?}");
            assert_eq!(fs::read_to_string(&path).unwrap(), bad, "it is never written again");
        }
        write_private(&path, &"ab".repeat(32)).unwrap();
        home.secret(&database).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(home.secret(&database), Err(HomeError::Readable(_))));
    }

    #[test]
    fn the_token_is_kept_and_checked() {
        let (_dir, home) = home();
        let token = home.token().unwrap();
        assert!(token.expose_secret().starts_with("hp_") && token.expose_secret().len() == 67);
        assert_eq!(home.token().unwrap().expose_secret(), token.expose_secret());
        write_private(&home.dir().join(TOKEN), "something else\n").unwrap();
        assert!(matches!(home.token(), Err(HomeError::BadToken(_))));
    }

    #[test]
    fn the_api_s_address_comes_and_goes() {
        let (_dir, home) = home();
        assert_eq!(api_url(home.dir()).unwrap(), None);
        home.announce("http://127.0.0.1:7070").unwrap();
        assert_eq!(api_url(home.dir()).unwrap().as_deref(), Some("http://127.0.0.1:7070"));
        home.withdraw();
        assert_eq!(api_url(home.dir()).unwrap(), None);
    }
}
