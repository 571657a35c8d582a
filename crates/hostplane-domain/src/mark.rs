//! Ownership mark that every resource carries, and the owner that follows from a mark found in the world.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{InstanceId, JobId, SiteId};
use crate::name::SiteName;
use crate::naming::ResourceKind;
use crate::spec_hash::SpecHash;

/// Label key of the installation's id. Without their prefix, the label keys make up a Caddy snippet's first line.
pub const LABEL_INSTANCE: &str = "hostplane.instance";
/// Label key of the site's name.
pub const LABEL_SITE: &str = "hostplane.site";
/// Label key of the site's id.
pub const LABEL_SITE_ID: &str = "hostplane.site-id";
/// Label key of the resource's kind.
pub const LABEL_RESOURCE: &str = "hostplane.resource";
/// Label key of the job that made the resource.
pub const LABEL_OPERATION: &str = "hostplane.operation";
/// Label key of the hash of the desired state that the resource was made from.
pub const LABEL_SPEC: &str = "hostplane.spec";

/// Id and name of a site.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SiteRef {
    /// Never reused.
    pub id: SiteId,
    /// Free for another site after the site is destroyed.
    pub name: SiteName,
}

/// Origin of a resource: installation, site, kind, job and desired state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The installation that made the resource.
    pub instance: InstanceId,
    /// The site that the resource belongs to.
    pub site: SiteRef,
    /// The resource's kind.
    pub kind: ResourceKind,
    /// The job that made the resource.
    pub job: JobId,
    /// Hash of the desired state that the resource was made from.
    pub spec: SpecHash,
}

/// Docker labels.
pub type Labels = BTreeMap<String, String>;

impl Mark {
    /// Converts the mark to Docker labels.
    #[must_use]
    pub fn to_labels(&self) -> Labels {
        Labels::from([
            (LABEL_INSTANCE.to_owned(), self.instance.to_string()),
            (LABEL_SITE.to_owned(), self.site.name.to_string()),
            (LABEL_SITE_ID.to_owned(), self.site.id.to_string()),
            (LABEL_RESOURCE.to_owned(), self.kind.to_string()),
            (LABEL_OPERATION.to_owned(), self.job.to_string()),
            (LABEL_SPEC.to_owned(), self.spec.to_string()),
        ])
    }

    /// Reads a mark. Incomplete or malformed labels are no mark, so that foreign labels can't make an object ours.
    #[must_use]
    pub fn from_labels(labels: &Labels) -> Option<Self> {
        let mut fields = MarkFields::default();
        for (key, value) in labels {
            fields.take(key, value);
        }
        fields.mark()
    }

    /// Splits labels into a mark and the rest. Without a mark the rest is all of them.
    #[must_use]
    pub fn split(labels: &Labels) -> (Option<Self>, Labels) {
        let (mut fields, mut beside) = (MarkFields::default(), Labels::new());
        for (key, value) in labels {
            if !fields.take(key, value) {
                beside.insert(key.clone(), value.clone());
            }
        }
        match fields.mark() {
            Some(mark) => (Some(mark), beside),
            None => (None, labels.clone()),
        }
    }

    /// Converts the mark to the first line of a generated file, without the line's end.
    #[must_use]
    pub fn to_comment(&self) -> String {
        format!(
            "# hostplane instance={} site={} site-id={} resource={} operation={} spec={}",
            self.instance, self.site.name, self.site.id, self.kind, self.job, self.spec
        )
    }

    /// Reads a mark from a generated file's first line.
    #[must_use]
    pub fn from_comment(line: &str) -> Option<Self> {
        let fields = line.trim_end().strip_prefix("# hostplane ")?;
        let mut found = MarkFields::default();
        for field in fields.split(' ') {
            let (key, value) = field.split_once('=')?;
            found.take(&format!("hostplane.{key}"), value);
        }
        found.mark()
    }
}

/// Fields of a mark read so far, in one pass, as a scan reads thousands of marks.
#[derive(Default)]
struct MarkFields<'a> {
    instance: Option<&'a str>,
    site: Option<&'a str>,
    site_id: Option<&'a str>,
    kind: Option<&'a str>,
    job: Option<&'a str>,
    spec: Option<&'a str>,
}

impl<'a> MarkFields<'a> {
    /// Takes a label of a mark; answers false for any other.
    fn take(&mut self, key: &str, value: &'a str) -> bool {
        let field = match key {
            LABEL_INSTANCE => &mut self.instance,
            LABEL_SITE => &mut self.site,
            LABEL_SITE_ID => &mut self.site_id,
            LABEL_RESOURCE => &mut self.kind,
            LABEL_OPERATION => &mut self.job,
            LABEL_SPEC => &mut self.spec,
            _ => return false,
        };
        *field = Some(value);
        true
    }

    fn mark(&self) -> Option<Mark> {
        Some(Mark {
            instance: self.instance?.parse().ok()?,
            site: SiteRef { id: self.site_id?.parse().ok()?, name: self.site?.parse().ok()? },
            kind: self.kind?.parse().ok()?,
            job: self.job?.parse().ok()?,
            spec: self.spec?.parse().ok()?,
        })
    }
}

/// Owner of an object found under one of a site's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// Same instance, same site id: may be changed and removed.
    Ours(Mark),
    /// Made by this instance for an earlier site of the name: never adopted.
    Predecessor(Mark),
    /// Made by another installation or another program: never touched.
    Foreign,
}

impl Owner {
    /// Derives the owner from a mark, or its absence, for one site of one instance.
    #[must_use]
    pub fn judge(found: Option<Mark>, instance: InstanceId, site: SiteId) -> Self {
        match found {
            Some(mark) if mark.instance != instance => Self::Foreign,
            Some(mark) if mark.site.id == site => Self::Ours(mark),
            Some(mark) => Self::Predecessor(mark),
            None => Self::Foreign,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ours(_) => f.write_str("this site"),
            Self::Predecessor(mark) => write!(f, "an earlier site of this name (id {})", mark.site.id),
            Self::Foreign => f.write_str("another owner"),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use uuid::Uuid;

    pub(crate) fn mark() -> Mark {
        Mark {
            instance: InstanceId::new(Uuid::from_u128(1)),
            site: SiteRef { id: SiteId::new(Uuid::from_u128(2)), name: SiteName::parse("hello").unwrap() },
            kind: ResourceKind::Network,
            job: JobId::new(Uuid::from_u128(3)),
            spec: SpecHash::of(&"x"),
        }
    }

    #[test]
    fn labels_and_comment_are_read_back() {
        let mark = mark();
        assert_eq!(Mark::from_labels(&mark.to_labels()), Some(mark.clone()));
        assert_eq!(Mark::from_comment(&mark.to_comment()), Some(mark));
    }

    #[test]
    fn labels_split_into_a_mark_and_the_rest() {
        let mut labels = mark().to_labels();
        let beside = Labels::from([("theirs".to_owned(), "x".to_owned())]);
        labels.extend(beside.clone());
        assert_eq!(Mark::split(&labels), (Some(mark()), beside));
        labels.remove(LABEL_SPEC);
        assert_eq!(Mark::split(&labels), (None, labels.clone()));
    }

    #[test]
    fn a_missing_or_malformed_field_makes_no_mark() {
        for key in mark().to_labels().keys() {
            let mut labels = mark().to_labels();
            labels.remove(key);
            assert_eq!(Mark::from_labels(&labels), None, "{key} missing");
            labels.insert(key.clone(), "\u{0}".into());
            assert_eq!(Mark::from_labels(&labels), None, "{key} malformed");
        }
        assert_eq!(Mark::from_comment("# something else"), None);
    }

    #[test]
    fn instance_and_site_id_decide_the_owner() {
        let found = mark();
        let other = Uuid::from_u128(9);
        let judge = |instance, site| Owner::judge(Some(found.clone()), instance, site);
        assert_eq!(judge(found.instance, found.site.id), Owner::Ours(found.clone()));
        assert_eq!(judge(found.instance, SiteId::new(other)), Owner::Predecessor(found.clone()));
        assert_eq!(judge(InstanceId::new(other), found.site.id), Owner::Foreign);
        assert_eq!(Owner::judge(None, found.instance, found.site.id), Owner::Foreign);
    }

    #[test]
    fn owners_are_named_in_messages() {
        assert_eq!(Owner::Ours(mark()).to_string(), "this site");
        assert_eq!(Owner::Foreign.to_string(), "another owner");
        let words = Owner::Predecessor(mark()).to_string();
        assert!(words.starts_with("an earlier site of this name") && words.contains(&mark().site.id.to_string()));
    }
}
