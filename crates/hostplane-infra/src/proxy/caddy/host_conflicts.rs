//! Conflicts of host names between snippets.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::container::Snippets;
use crate::error::{EffectError, Rejection};
use crate::proxy::{RouteSpec, snippet};

/// Places (`host:port`) served by each file.
pub(super) struct HostConflicts(BTreeMap<String, BTreeSet<String>>);

impl HostConflicts {
    pub(super) fn of(snippets: &Snippets) -> Self {
        let read = |bytes: &Bytes| snippet::places(&String::from_utf8_lossy(bytes));
        Self(snippets.iter().map(|(file, bytes)| (file.clone(), read(bytes))).collect())
    }

    pub(super) fn replace(&mut self, file: &str, contents: Option<&Bytes>) {
        match contents {
            Some(bytes) => self.0.insert(file.to_owned(), snippet::places(&String::from_utf8_lossy(bytes))),
            None => self.0.remove(file),
        };
    }

    /// Finds another file that serves one of these places, and the place.
    fn clash<'a>(&'a self, file: &str, places: &'a BTreeSet<String>) -> Option<(&'a str, &'a str)> {
        self.0.iter().filter(|(other, _)| other.as_str() != file).find_map(|(other, theirs)| {
            theirs.intersection(places).next().map(|place| (other.as_str(), place.as_str()))
        })
    }
}

/// Reason to refuse a snippet without asking Caddy.
pub(super) fn refusal(
    spec: &RouteSpec,
    file: &str,
    present: Option<&Bytes>,
    places: &HostConflicts,
) -> Option<EffectError> {
    if let Err(error) = snippet::check(spec) {
        return Some(error);
    }
    if let Some(bytes) = present
        && let Err(error) = snippet::own(file, bytes, spec.mark.instance, spec.mark.site.id)
    {
        return Some(error);
    }
    let mut wanted = snippet::places(&spec.contents);
    wanted.extend(spec.hosts.iter().map(|host| snippet::http_place(host)));
    let (by, place) = places.clash(file, &wanted)?;
    Some(Rejection::HostTaken { host: snippet::host(place).to_owned(), by: by.to_owned() }.into())
}
