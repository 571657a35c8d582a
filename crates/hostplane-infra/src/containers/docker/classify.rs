//! Classification of the Engine's errors. Status codes alone don't suffice ("no pool left" is a 404, a read-only mount
//! a 500), so this file, and no other, reads the Engine's messages.

use bollard::errors::Error as BollardError;

use crate::error::{Dependency, EffectError, Rejection};

/// Call and object of a request, for errors.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallSubject<'a> {
    /// The call's name at the gate.
    pub call: &'static str,
    /// True if the call may change something.
    pub changes: bool,
    /// `container`, `volume`, `network`, `image`.
    pub what: &'static str,
    /// The object's name or id.
    pub name: &'a str,
}

impl<'a> CallSubject<'a> {
    /// Subject of a call that reads.
    pub const fn read(call: &'static str, what: &'static str, name: &'a str) -> Self {
        Self { call, changes: false, what, name }
    }

    /// Subject of a call that changes something.
    pub const fn change(call: &'static str, what: &'static str, name: &'a str) -> Self {
        Self { call, changes: true, what, name }
    }
}

/// Class of an answer other than success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerClass {
    /// The requested state exists already.
    Done,
    /// The object doesn't exist.
    Absent,
    /// The image isn't on the host.
    ImageMissing,
    /// Another object has the name.
    NameTaken,
    /// The subnet overlaps with another network's.
    SubnetTaken,
    /// The Engine has no address pool left to choose from.
    PoolsExhausted,
    /// No room: bridge ports, addresses, disk.
    Full,
    /// A port to publish is taken.
    PortTaken,
    /// Nothing was done, for a passing reason.
    Busy,
    /// Nothing was done, for a permanent reason.
    Refused,
    /// An authorisation plugin refused.
    Denied,
    /// The Engine was replaced and doesn't support the pinned API version.
    VersionRefused,
    /// Any other answer: the request may have been done in part.
    Unclear,
}

/// Parts of messages, in lower case, with their class at any status. The first line that fits counts, and all of its
/// words must appear. Taken from Engine 20.10, then from newer Engines' sources.
const MESSAGES: &[(&[&str], AnswerClass)] = &[
    (&["client version", "is too new"], AnswerClass::VersionRefused),
    (&["client version", "is too old"], AnswerClass::VersionRefused),
    (&["authorization denied by plugin"], AnswerClass::Denied),
    (&["already exists in network"], AnswerClass::Done),
    (&["is already attached to network"], AnswerClass::Done),
    // Names. A container that is being removed holds its name too, which only inspecting it shows.
    (&["removal of container", "is already in progress"], AnswerClass::Busy),
    (&["is marked for removal"], AnswerClass::Busy),
    (&["is already in use by container"], AnswerClass::NameTaken),
    (&["network with name", "already exists"], AnswerClass::NameTaken),
    // The bridge's name follows from the network's, so another call made the network at the same moment.
    (&["networks have same bridge name"], AnswerClass::NameTaken),
    // Uses that end.
    (&["volume is in use"], AnswerClass::Busy),
    (&["has active endpoints"], AnswerClass::Busy),
    (&["is not running"], AnswerClass::Busy),
    (&["is restarting, wait until the container is running"], AnswerClass::Busy),
    (&["is paused, unpause the container before exec"], AnswerClass::Busy),
    (&["no such exec instance"], AnswerClass::Busy),
    // Addresses.
    (&["pool overlaps with other one on this address space"], AnswerClass::SubnetTaken),
    (&["networks have overlapping ipv4"], AnswerClass::SubnetTaken),
    (&["could not find an available, non-overlapping ipv4 address pool"], AnswerClass::PoolsExhausted),
    (&["all predefined address pools have been fully subnetted"], AnswerClass::PoolsExhausted),
    (&["no available ipv4 addresses"], AnswerClass::Full),
    // A Linux bridge takes 1,023 ports; the kernel calls the 1,024th EXFULL.
    (&["exchange full"], AnswerClass::Full),
    (&["no space left on device"], AnswerClass::Full),
    // Refusals that the Engine sends as its own failure (500).
    (&["is marked read-only"], AnswerClass::Refused),
    (&["extraction point is not a directory"], AnswerClass::Refused),
    (&["lstat", "not a directory"], AnswerClass::Refused),
    (&["invalid subnet"], AnswerClass::Refused),
    (&["port is already allocated"], AnswerClass::PortTaken),
    (&["bind: address already in use"], AnswerClass::PortTaken),
    (&["plugin", "not found"], AnswerClass::Refused),
    // Absences. An unknown 404 is none of them: a message not understood never means absent.
    (&["no such image"], AnswerClass::ImageMissing),
    (&["no such container"], AnswerClass::Absent),
    (&["no such volume"], AnswerClass::Absent),
    (&["could not find the file"], AnswerClass::Absent),
    (&["network", "not found"], AnswerClass::Absent),
];

/// Classifies an answer by its status and message.
pub(super) fn classify(status: u16, message: &str) -> AnswerClass {
    let lower = message.to_lowercase();
    let known = MESSAGES.iter().find(|(words, _)| words.iter().all(|word| lower.contains(word)));
    match (known, status) {
        // The message alone doesn't mean absent: "executable file not found" also comes from network plugins.
        (Some((_, AnswerClass::Absent | AnswerClass::ImageMissing)), 500..) => AnswerClass::Unclear,
        (Some((_, AnswerClass::Absent | AnswerClass::ImageMissing)), 400..404) => AnswerClass::Refused,
        (Some(&(_, class)), _) => class,
        (None, 304) => AnswerClass::Done,
        (None, 409 | 429) => AnswerClass::Busy,
        (None, 400..=499) => AnswerClass::Refused,
        (None, _) => AnswerClass::Unclear,
    }
}

/// Classifies an error; `None` unless it is an answer of the Engine.
pub(super) fn class_of(error: &BollardError) -> Option<AnswerClass> {
    match error {
        BollardError::DockerResponseServerError { status_code, message } => Some(classify(*status_code, message)),
        _ => None,
    }
}

/// True if the Engine was not reached, or needs another API version: the session must negotiate again.
pub(super) fn ends_session(error: &BollardError) -> bool {
    never_sent(error) || class_of(error) == Some(AnswerClass::VersionRefused)
}

/// True if the connection failed before the request was sent.
fn never_sent(error: &BollardError) -> bool {
    match error {
        BollardError::SocketNotFoundError(_) => true,
        BollardError::HyperLegacyError { err } => err.is_connect(),
        _ => false,
    }
}

/// Converts an error of bollard's.
pub(super) fn effect_error(subject: CallSubject<'_>, error: BollardError) -> EffectError {
    use BollardError as E;
    match error {
        E::DockerResponseServerError { status_code, message } => answered(subject, status_code, message),
        error if never_sent(&error) => EffectError::transient(subject.call, error),
        // The request could not be built.
        E::URLEncodedError { .. }
        | E::URLParseError { .. }
        | E::InvalidURIError { .. }
        | E::InvalidURIPartsError { .. }
        | E::HttpClientError { .. } => invalid(error.to_string()),
        error => lost(subject, error),
    }
}

/// Error of a request without a legible answer.
fn lost(subject: CallSubject<'_>, error: BollardError) -> EffectError {
    if subject.changes {
        EffectError::unknown(subject.call, error)
    } else {
        EffectError::transient(subject.call, error)
    }
}

fn answered(subject: CallSubject<'_>, status_code: u16, message: String) -> EffectError {
    let message = shortened(message);
    let class = classify(status_code, &message);
    let again = |message| BollardError::DockerResponseServerError { status_code, message };
    match class {
        AnswerClass::Absent => EffectError::NotFound(absent(subject, &message)),
        AnswerClass::ImageMissing => Rejection::ImageMissing(subject.name.to_owned()).into(),
        AnswerClass::NameTaken => {
            let (what, name) = (subject.what, subject.name.to_owned());
            Rejection::NameTaken { what, name, owner: "another owner".to_owned() }.into()
        }
        AnswerClass::PoolsExhausted => Rejection::Capacity(format!("{message}; remove unused networks")).into(),
        AnswerClass::PortTaken => Rejection::PortTaken(message).into(),
        AnswerClass::Full => Rejection::Capacity(message).into(),
        AnswerClass::Denied => Rejection::AccessDenied { by: Dependency::DOCKER, message }.into(),
        // Callers that handle "done" and the subnet ask for the class first.
        AnswerClass::Done | AnswerClass::SubnetTaken | AnswerClass::Refused => invalid(message),
        AnswerClass::Busy | AnswerClass::VersionRefused => EffectError::transient(subject.call, again(message)),
        AnswerClass::Unclear => lost(subject, again(message)),
    }
}

/// Refusal with the Engine's message.
pub(super) fn invalid(message: impl Into<String>) -> EffectError {
    Rejection::Invalid { by: Dependency::DOCKER, message: shortened(message.into()) }.into()
}

/// Names the absent object, which may be another than the request's: an existing container can't start without its
/// network.
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

/// Cuts a message for the journal.
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

    /// Status, message and class: the first part copied from Engine 20.10.24, the second from the sources of 23 to 28.
    const ANSWERS: &[(u16, &str, AnswerClass)] = &[
        (304, "", AnswerClass::Done),
        (400, "invalid reference format", AnswerClass::Refused),
        (400, "Minimum memory limit allowed is 6MB", AnswerClass::Refused),
        (400, "client version 1.53 is too new. Maximum supported API version is 1.41", AnswerClass::VersionRefused),
        (
            400,
            "client version 1.2 is too old. Minimum supported API version is 1.12, please upgrade your client to a newer version",
            AnswerClass::VersionRefused,
        ),
        (400, "network hpt-d is ambiguous (2 matches found on name)", AnswerClass::Refused),
        (400, "2 matches found based on name: network hpt-d is ambiguous", AnswerClass::Refused),
        (
            400,
            "container cannot be connected to multiple networks with one of the networks in private (none) mode",
            AnswerClass::Refused,
        ),
        (
            400,
            "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: \"nonesuch\": executable file not found in $PATH: unknown",
            AnswerClass::Refused,
        ),
        (403, "endpoint with name hpt-c already exists in network hpt-m", AnswerClass::Done),
        (403, "Pool overlaps with other one on this address space", AnswerClass::SubnetTaken),
        (
            403,
            "error while removing network: network hpt-n id 95ffb365c6f26b6952b0f472df45462a18af78eb43451730f0bb571a629213d4 has active endpoints",
            AnswerClass::Busy,
        ),
        (403, "bridge is a pre-defined network and cannot be removed", AnswerClass::Refused),
        (404, "No such container: hpt-zz", AnswerClass::Absent),
        (404, "get hpt-zz: no such volume", AnswerClass::Absent),
        (404, "network hpt-nonet not found", AnswerClass::Absent),
        (404, "Could not find the file /data/none in container hpt-c", AnswerClass::Absent),
        (404, "No such image: nope/nope:1", AnswerClass::ImageMissing),
        (404, "no such image: hpt-zz: No such image: hpt-zz:latest", AnswerClass::ImageMissing),
        (
            404,
            "No such exec instance: a8c9f409331870cfe90557ee513972eff695745e2f08f861c6ddfb4c6c544e0f",
            AnswerClass::Busy,
        ),
        (404, "plugin \"nope\" not found", AnswerClass::Refused),
        (404, "page not found", AnswerClass::Refused),
        (
            404,
            "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
            AnswerClass::PoolsExhausted,
        ),
        (409, "network with name hpt-n already exists", AnswerClass::NameTaken),
        (
            409,
            "Conflict. The container name \"/hpt-a\" is already in use by container \"ea144a924b73fb1787a95259272cbdfcda1a96c41b87eb7f9242a221e4bee562\". You have to remove (or rename) that container to be able to reuse that name.",
            AnswerClass::NameTaken,
        ),
        (409, "removal of container hpt-c is already in progress", AnswerClass::Busy),
        (
            409,
            "remove hpt-v: volume is in use - [cb871bf85d79b377ff20997c039a74954a3db16874f514cc914f9ba6371d0ff0]",
            AnswerClass::Busy,
        ),
        (
            409,
            "Container cb871bf85d79b377ff20997c039a74954a3db16874f514cc914f9ba6371d0ff0 is not running",
            AnswerClass::Busy,
        ),
        (409, "Container hpt-c is paused, unpause the container before exec", AnswerClass::Busy),
        (500, "Invalid subnet 10.249.3.0/33 : invalid CIDR address: 10.249.3.0/33", AnswerClass::Refused),
        (500, "mounted volume is marked read-only", AnswerClass::Refused),
        (500, "container rootfs is marked read-only", AnswerClass::Refused),
        (500, "extraction point is not a directory", AnswerClass::Refused),
        (500, "lstat /var/lib/docker/overlay2/a53e/merged/data/f/.: not a directory", AnswerClass::Refused),
        (
            500,
            "failed to create endpoint hpt-g on network hpt-big: adding interface vethd59925a to bridge br-ee16f5f9df09 failed: exchange full",
            AnswerClass::Full,
        ),
        (
            500,
            "no available IPv4 addresses on this network's address pools: hpt-s (ac32dfbac1aab6fb96afc38880704f0ed20813ac7da2bcc1fdbe1e0314a497cd)",
            AnswerClass::Full,
        ),
        (
            500,
            "driver failed programming external connectivity on endpoint hpt-f (feb96bbdb32da8f49d39b298cda46e625013fc11b796d37adf83a11279ab8d80): Bind for 127.0.0.1:18999 failed: port is already allocated",
            AnswerClass::PortTaken,
        ),
        (
            500,
            "driver failed programming external connectivity on endpoint hpt-f (26c0f4c12b613e7c25b7d8b498dd4623fb0975e88dd1383ddd25183752bb6393): Error starting userland proxy: listen tcp4 127.0.0.1:18998: bind: address already in use",
            AnswerClass::PortTaken,
        ),
        (500, "Error processing tar file(exit status 1): unexpected EOF", AnswerClass::Unclear),
        (500, "context deadline exceeded", AnswerClass::Unclear),
        // Newer Engines.
        (400, "invalid pool request: Pool overlaps with other one on this address space", AnswerClass::SubnetTaken),
        (
            403,
            "cannot create network 8f (br-8f): conflicts with network 7e (br-7e): networks have overlapping IPv4",
            AnswerClass::SubnetTaken,
        ),
        (400, "all predefined address pools have been fully subnetted", AnswerClass::PoolsExhausted),
        (403, "network site_a has active endpoints (name:\"php_a\" id:\"95ffb365c6f2\")", AnswerClass::Busy),
        (409, "container is marked for removal and cannot be started", AnswerClass::Busy),
        (409, "cannot exec in a stopped container: container 7c1d is not running", AnswerClass::Busy),
        (409, "Container 7c1d is restarting, wait until the container is running", AnswerClass::Busy),
        (403, "authorization denied by plugin opa: no", AnswerClass::Denied),
    ];

    #[test]
    fn known_answers_are_classified() {
        for &(status, message, expected) in ANSWERS {
            assert_eq!(classify(status, message), expected, "{status} {message}");
        }
    }

    fn error(subject: CallSubject<'_>, status_code: u16, message: &str) -> EffectError {
        effect_error(subject, BollardError::DockerResponseServerError { status_code, message: message.into() })
    }

    const CHANGE: CallSubject<'_> = CallSubject::change("docker.test", "container", "php_a");

    #[test]
    fn an_unclear_answer_leaves_only_changes_unknown() {
        assert!(matches!(error(CHANGE, 500, "oops"), EffectError::OutcomeUnknown { .. }));
        assert!(matches!(error(CallSubject { changes: false, ..CHANGE }, 500, "oops"), EffectError::Transient { .. }));
    }

    #[test]
    fn the_absent_object_is_named() {
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
