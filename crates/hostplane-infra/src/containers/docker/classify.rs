//! What the Engine's errors mean. Its status codes alone don't tell ("no pool left" is a 404, a read-only
//! mount a 500), so its messages are read, in this file and nowhere else.

use bollard::errors::Error as BollardError;

use crate::error::{Dependency, EffectError, Rejection};

/// What was asked, in the words that errors need.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallSubject<'a> {
    /// The call's name at the gate.
    pub call: &'static str,
    /// Whether it may change something.
    pub changes: bool,
    /// `container`, `volume`, `network`, `image`.
    pub what: &'static str,
    /// Which one.
    pub name: &'a str,
}

impl<'a> CallSubject<'a> {
    /// About something that is only looked at.
    pub const fn read(call: &'static str, what: &'static str, name: &'a str) -> Self {
        Self { call, changes: false, what, name }
    }

    /// About something that is changed.
    pub const fn change(call: &'static str, what: &'static str, name: &'a str) -> Self {
        Self { call, changes: true, what, name }
    }
}

/// What an answer that isn't a success means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is as was asked already.
    Done,
    /// The thing isn't there.
    Absent,
    /// The image isn't on the host.
    ImageMissing,
    /// The name is held by another object.
    NameTaken,
    /// The subnet overlaps with another network's.
    SubnetTaken,
    /// The Engine has no address pool left to choose from.
    PoolsExhausted,
    /// No room: bridge ports, addresses, disk.
    Full,
    /// A port that is to be published is taken.
    PortTaken,
    /// Nothing was done, because of something that passes.
    Busy,
    /// Nothing was done, and nothing will be.
    Refused,
    /// An authorisation plugin said no.
    Denied,
    /// The pinned API version isn't spoken any more: the Engine was exchanged.
    VersionRefused,
    /// Anything else: it may have been done in part.
    Unclear,
}

/// Parts of messages, in lower case, and what they mean whatever the status. The first that fits counts;
/// all words of a line must be there. Taken from Engine 20.10, then from newer ones' sources.
const MESSAGES: &[(&[&str], Meaning)] = &[
    (&["client version", "is too new"], Meaning::VersionRefused),
    (&["client version", "is too old"], Meaning::VersionRefused),
    (&["authorization denied by plugin"], Meaning::Denied),
    (&["already exists in network"], Meaning::Done),
    (&["is already attached to network"], Meaning::Done),
    // Names. A container that is on its way out holds its name too, which only a look at it tells.
    (&["removal of container", "is already in progress"], Meaning::Busy),
    (&["is marked for removal"], Meaning::Busy),
    (&["is already in use by container"], Meaning::NameTaken),
    (&["network with name", "already exists"], Meaning::NameTaken),
    // The bridge's name follows from the network's, so this is said of one that was made at the same moment.
    (&["networks have same bridge name"], Meaning::NameTaken),
    // Uses that end.
    (&["volume is in use"], Meaning::Busy),
    (&["has active endpoints"], Meaning::Busy),
    (&["is not running"], Meaning::Busy),
    (&["is restarting, wait until the container is running"], Meaning::Busy),
    (&["is paused, unpause the container before exec"], Meaning::Busy),
    (&["no such exec instance"], Meaning::Busy),
    // Addresses.
    (&["pool overlaps with other one on this address space"], Meaning::SubnetTaken),
    (&["networks have overlapping ipv4"], Meaning::SubnetTaken),
    (&["could not find an available, non-overlapping ipv4 address pool"], Meaning::PoolsExhausted),
    (&["all predefined address pools have been fully subnetted"], Meaning::PoolsExhausted),
    (&["no available ipv4 addresses"], Meaning::Full),
    // A Linux bridge takes 1,023 ports; the kernel calls the 1,024th EXFULL.
    (&["exchange full"], Meaning::Full),
    (&["no space left on device"], Meaning::Full),
    // Refusals that the Engine sends as its own failure (500).
    (&["is marked read-only"], Meaning::Refused),
    (&["extraction point is not a directory"], Meaning::Refused),
    (&["lstat", "not a directory"], Meaning::Refused),
    (&["invalid subnet"], Meaning::Refused),
    (&["port is already allocated"], Meaning::PortTaken),
    (&["bind: address already in use"], Meaning::PortTaken),
    (&["plugin", "not found"], Meaning::Refused),
    // Absences. An unknown 404 is none of them: what can't be understood is never taken for absent.
    (&["no such image"], Meaning::ImageMissing),
    (&["no such container"], Meaning::Absent),
    (&["no such volume"], Meaning::Absent),
    (&["could not find the file"], Meaning::Absent),
    (&["network", "not found"], Meaning::Absent),
];

/// The meaning of an answer's status and message.
pub(super) fn meaning(status: u16, message: &str) -> Meaning {
    let lower = message.to_lowercase();
    let known = MESSAGES.iter().find(|(words, _)| words.iter().all(|word| lower.contains(word)));
    match (known, status) {
        // Words alone make nothing absent: "executable file not found" is said of networks' plugins too.
        (Some((_, Meaning::Absent | Meaning::ImageMissing)), 500..) => Meaning::Unclear,
        (Some((_, Meaning::Absent | Meaning::ImageMissing)), 400..404) => Meaning::Refused,
        (Some(&(_, meaning)), _) => meaning,
        (None, 304) => Meaning::Done,
        (None, 409 | 429) => Meaning::Busy,
        (None, 400..=499) => Meaning::Refused,
        (None, _) => Meaning::Unclear,
    }
}

/// The meaning of an error, if it is an answer of the Engine's.
pub(super) fn meaning_of(error: &BollardError) -> Option<Meaning> {
    match error {
        BollardError::DockerResponseServerError { status_code, message } => Some(meaning(*status_code, message)),
        _ => None,
    }
}

/// Whether the Engine was not reached at all, or speaks another version: negotiate again.
pub(super) fn ends_session(error: &BollardError) -> bool {
    never_sent(error) || meaning_of(error) == Some(Meaning::VersionRefused)
}

/// Whether the connection failed before anything could be sent.
fn never_sent(error: &BollardError) -> bool {
    match error {
        BollardError::SocketNotFoundError(_) => true,
        BollardError::HyperLegacyError { err } => err.is_connect(),
        _ => false,
    }
}

/// The effect error that an error of bollard's is.
pub(super) fn effect_error(subject: CallSubject<'_>, error: BollardError) -> EffectError {
    use BollardError as E;
    match error {
        E::DockerResponseServerError { status_code, message } => answered(subject, status_code, message),
        error if never_sent(&error) => EffectError::transient(subject.call, error),
        // The request could not even be put together.
        E::URLEncodedError { .. }
        | E::URLParseError { .. }
        | E::InvalidURIError { .. }
        | E::InvalidURIPartsError { .. }
        | E::HttpClientError { .. } => invalid(error.to_string()),
        error => lost(subject, error),
    }
}

/// A request whose answer didn't arrive or can't be read.
fn lost(subject: CallSubject<'_>, error: BollardError) -> EffectError {
    if subject.changes {
        EffectError::unknown(subject.call, error)
    } else {
        EffectError::transient(subject.call, error)
    }
}

fn answered(subject: CallSubject<'_>, status_code: u16, message: String) -> EffectError {
    let message = shortened(message);
    let meaning = meaning(status_code, &message);
    let again = |message| BollardError::DockerResponseServerError { status_code, message };
    match meaning {
        Meaning::Absent => EffectError::NotFound(absent(subject, &message)),
        Meaning::ImageMissing => Rejection::ImageMissing(subject.name.to_owned()).into(),
        Meaning::NameTaken => {
            let (what, name) = (subject.what, subject.name.to_owned());
            Rejection::NameTaken { what, name, owner: "somebody else".to_owned() }.into()
        }
        Meaning::PoolsExhausted => Rejection::Capacity(format!("{message}; remove networks that nobody uses")).into(),
        Meaning::PortTaken => Rejection::PortTaken(message).into(),
        Meaning::Full => Rejection::Capacity(message).into(),
        Meaning::Denied => Rejection::AccessDenied { by: Dependency::Docker, message }.into(),
        // The callers that know what to do with "done" and the subnet ask for the meaning first.
        Meaning::Done | Meaning::SubnetTaken | Meaning::Refused => invalid(message),
        Meaning::Busy | Meaning::VersionRefused => EffectError::transient(subject.call, again(message)),
        Meaning::Unclear => lost(subject, again(message)),
    }
}

/// A refusal in the Engine's words.
pub(super) fn invalid(message: impl Into<String>) -> EffectError {
    Rejection::Invalid { by: Dependency::Docker, message: shortened(message.into()) }.into()
}

/// Names what is absent. That may be another thing than the one that was asked about: a container that
/// is there can't be started when its network isn't.
fn absent(subject: CallSubject<'_>, message: &str) -> String {
    let between = |before: &str, after: &str| {
        let rest = message.split_once(before)?.1;
        Some(rest.split_once(after).map_or(rest, |(name, _)| name).to_owned())
    };
    if message.starts_with("Could not find the file ") {
        between("Could not find the file ", "\n").unwrap_or_default()
    } else if let Some(network) = between("network ", " not found").filter(|_| message.ends_with(" not found")) {
        format!("network {network}")
    } else {
        format!("{} {}", subject.what, subject.name)
    }
}

/// Messages go into journals: a page is enough.
fn shortened(mut message: String) -> String {
    const LIMIT: usize = 1000;
    if message.len() > LIMIT {
        message.truncate(message.floor_char_boundary(LIMIT));
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Status, message and meaning. The first part is copied from Engine 20.10.24, the second from the
    /// sources of 23 to 28.
    const ANSWERS: &[(u16, &str, Meaning)] = &[
        (304, "", Meaning::Done),
        (400, "invalid reference format", Meaning::Refused),
        (400, "Minimum memory limit allowed is 6MB", Meaning::Refused),
        (400, "client version 1.53 is too new. Maximum supported API version is 1.41", Meaning::VersionRefused),
        (
            400,
            "client version 1.2 is too old. Minimum supported API version is 1.12, please upgrade your client to a newer version",
            Meaning::VersionRefused,
        ),
        (400, "network hpt-d is ambiguous (2 matches found on name)", Meaning::Refused),
        (400, "2 matches found based on name: network hpt-d is ambiguous", Meaning::Refused),
        (
            400,
            "container cannot be connected to multiple networks with one of the networks in private (none) mode",
            Meaning::Refused,
        ),
        (
            400,
            "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"nonesuch\": executable file not found in $PATH: unknown",
            Meaning::Refused,
        ),
        (403, "endpoint with name hpt-c already exists in network hpt-m", Meaning::Done),
        (403, "Pool overlaps with other one on this address space", Meaning::SubnetTaken),
        (
            403,
            "error while removing network: network hpt-n id 95ffb365c6f26b6952b0f472df45462a18af78eb43451730f0bb571a629213d4 has active endpoints",
            Meaning::Busy,
        ),
        (403, "bridge is a pre-defined network and cannot be removed", Meaning::Refused),
        (404, "No such container: hpt-zz", Meaning::Absent),
        (404, "get hpt-zz: no such volume", Meaning::Absent),
        (404, "network hpt-nonet not found", Meaning::Absent),
        (404, "Could not find the file /data/none in container hpt-c", Meaning::Absent),
        (404, "No such image: nope/nope:1", Meaning::ImageMissing),
        (404, "no such image: hpt-zz: No such image: hpt-zz:latest", Meaning::ImageMissing),
        (404, "No such exec instance: a8c9f409331870cfe90557ee513972eff695745e2f08f861c6ddfb4c6c544e0f", Meaning::Busy),
        (404, "plugin \"nope\" not found", Meaning::Refused),
        (404, "page not found", Meaning::Refused),
        (
            404,
            "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
            Meaning::PoolsExhausted,
        ),
        (409, "network with name hpt-n already exists", Meaning::NameTaken),
        (
            409,
            "Conflict. The container name \"/hpt-a\" is already in use by container \"ea144a924b73fb1787a95259272cbdfcda1a96c41b87eb7f9242a221e4bee562\". You have to remove (or rename) that container to be able to reuse that name.",
            Meaning::NameTaken,
        ),
        (409, "removal of container hpt-c is already in progress", Meaning::Busy),
        (
            409,
            "remove hpt-v: volume is in use - [cb871bf85d79b377ff20997c039a74954a3db16874f514cc914f9ba6371d0ff0]",
            Meaning::Busy,
        ),
        (
            409,
            "Container cb871bf85d79b377ff20997c039a74954a3db16874f514cc914f9ba6371d0ff0 is not running",
            Meaning::Busy,
        ),
        (409, "Container hpt-c is paused, unpause the container before exec", Meaning::Busy),
        (500, "Invalid subnet 10.249.3.0/33 : invalid CIDR address: 10.249.3.0/33", Meaning::Refused),
        (500, "mounted volume is marked read-only", Meaning::Refused),
        (500, "container rootfs is marked read-only", Meaning::Refused),
        (500, "extraction point is not a directory", Meaning::Refused),
        (500, "lstat /var/lib/docker/overlay2/a53e/merged/data/f/.: not a directory", Meaning::Refused),
        (
            500,
            "failed to create endpoint hpt-g on network hpt-big: adding interface vethd59925a to bridge br-ee16f5f9df09 failed: exchange full",
            Meaning::Full,
        ),
        (
            500,
            "no available IPv4 addresses on this network's address pools: hpt-s (ac32dfbac1aab6fb96afc38880704f0ed20813ac7da2bcc1fdbe1e0314a497cd)",
            Meaning::Full,
        ),
        (
            500,
            "driver failed programming external connectivity on endpoint hpt-f (feb96bbdb32da8f49d39b298cda46e625013fc11b796d37adf83a11279ab8d80): Bind for 127.0.0.1:18999 failed: port is already allocated",
            Meaning::PortTaken,
        ),
        (
            500,
            "driver failed programming external connectivity on endpoint hpt-f (26c0f4c12b613e7c25b7d8b498dd4623fb0975e88dd1383ddd25183752bb6393): Error starting userland proxy: listen tcp4 127.0.0.1:18998: bind: address already in use",
            Meaning::PortTaken,
        ),
        (500, "Error processing tar file(exit status 1): unexpected EOF", Meaning::Unclear),
        (500, "context deadline exceeded", Meaning::Unclear),
        // Newer Engines.
        (400, "invalid pool request: Pool overlaps with other one on this address space", Meaning::SubnetTaken),
        (
            403,
            "cannot create network 8f (br-8f): conflicts with network 7e (br-7e): networks have overlapping IPv4",
            Meaning::SubnetTaken,
        ),
        (400, "all predefined address pools have been fully subnetted", Meaning::PoolsExhausted),
        (403, "network site_a has active endpoints (name:\"php_a\" id:\"95ffb365c6f2\")", Meaning::Busy),
        (409, "container is marked for removal and cannot be started", Meaning::Busy),
        (409, "cannot exec in a stopped container: container 7c1d is not running", Meaning::Busy),
        (409, "Container 7c1d is restarting, wait until the container is running", Meaning::Busy),
        (403, "authorization denied by plugin opa: no", Meaning::Denied),
    ];

    #[test]
    fn every_known_answer_has_its_meaning() {
        for &(status, message, expected) in ANSWERS {
            assert_eq!(meaning(status, message), expected, "{status} {message}");
        }
    }

    fn error(subject: CallSubject<'_>, status_code: u16, message: &str) -> EffectError {
        effect_error(subject, BollardError::DockerResponseServerError { status_code, message: message.into() })
    }

    const CHANGE: CallSubject<'_> = CallSubject::change("docker.test", "container", "php_a");

    #[test]
    fn an_unclear_answer_leaves_a_change_unknown_and_a_read_transient() {
        assert!(matches!(error(CHANGE, 500, "oops"), EffectError::OutcomeUnknown { .. }));
        assert!(matches!(error(CallSubject { changes: false, ..CHANGE }, 500, "oops"), EffectError::Transient { .. }));
    }

    #[test]
    fn what_is_absent_is_named() {
        let name = |message| match error(CHANGE, 404, message) {
            EffectError::NotFound(name) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(name("No such container: 7c1d"), "container php_a");
        assert_eq!(name("network site_a not found"), "network site_a");
        assert_eq!(name("Could not find the file /x in container 7c1d"), "/x in container 7c1d");
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let EffectError::Rejected(Rejection::Invalid { message, .. }) = error(CHANGE, 400, &"ü".repeat(900)) else {
            panic!("rejected");
        };
        assert_eq!(message.chars().count(), 501);
    }
}
