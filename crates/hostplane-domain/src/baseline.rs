//! The baseline of a change: how a site answered before it. After the change it has to answer no worse.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::text_enum::text_enum;

text_enum!(
    /// The class of an answer to a visitor, from the best to the worst.
    PageClass, "class of a page" {
        /// Status 2xx with a page that has content.
        Full = "full",
        /// Status 3xx.
        Redirect = "redirect",
        /// Status 4xx: refused, hidden, not there, or for members only.
        Refused = "refused",
        /// Status 503: in maintenance, or coming soon.
        Unavailable = "unavailable",
        /// Status 2xx without a page.
        Blank = "blank",
        /// Another status 5xx by the site itself.
        Error = "error",
        /// No answer of the site: none at all, or one by a server before it.
        Silent = "silent",
    }
);

/// The classes of some paths of a site.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Baseline(BTreeMap<String, PageClass>);

impl Baseline {
    /// The baseline of these paths.
    #[must_use]
    pub fn new(classes: impl IntoIterator<Item = (String, PageClass)>) -> Self {
        Self(classes.into_iter().collect())
    }

    /// The class that a path had. Of one that was not asked for, an answer of the site itself is all that is known to
    /// be right.
    #[must_use]
    pub fn of(&self, path: &str) -> PageClass {
        self.0.get(path).copied().unwrap_or(PageClass::Error)
    }

    /// True when an answer to this path is no worse than before.
    #[must_use]
    pub fn is_met_by(&self, path: &str, class: PageClass) -> bool {
        class <= self.of(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_go_from_the_best_to_the_worst() {
        assert!(PageClass::ALL.is_sorted() && PageClass::ALL.len() == 7);
    }

    #[test]
    fn an_answer_has_to_be_no_worse_than_before() {
        let baseline = Baseline::new([("/".to_owned(), PageClass::Unavailable)]);
        for better in [PageClass::Full, PageClass::Redirect, PageClass::Refused, PageClass::Unavailable] {
            assert!(baseline.is_met_by("/", better), "{better}");
        }
        for worse in [PageClass::Blank, PageClass::Error, PageClass::Silent] {
            assert!(!baseline.is_met_by("/", worse), "{worse}");
        }
        let silent = Baseline::new([("/".to_owned(), PageClass::Silent)]);
        assert!(PageClass::ALL.iter().all(|class| silent.is_met_by("/", *class)), "it can't get worse");
    }

    #[test]
    fn of_an_unknown_path_the_site_s_own_answer_is_enough() {
        let none = Baseline::default();
        assert!(none.is_met_by("/", PageClass::Error) && !none.is_met_by("/", PageClass::Silent));
    }

    #[test]
    fn it_is_stored_by_path() {
        let baseline = Baseline::new([("/".to_owned(), PageClass::Refused)]);
        let text = serde_json::to_string(&baseline).unwrap();
        assert_eq!(text, r#"{"/":"refused"}"#);
        assert_eq!(serde_json::from_str::<Baseline>(&text).unwrap(), baseline);
    }
}
