//! The baseline of a change: how a site answered before it. After the change it has to answer no worse.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::health::Condition;
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

/// The condition of a site's WordPress, and the classes of some of its paths.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The condition; `None` where it was not asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    condition: Option<Condition>,
    /// The classes by path. A path begins with a slash, so none has the name of another field.
    #[serde(flatten)]
    paths: BTreeMap<String, PageClass>,
}

impl Baseline {
    /// The baseline of these paths.
    #[must_use]
    pub fn new(condition: Option<Condition>, classes: impl IntoIterator<Item = (String, PageClass)>) -> Self {
        Self { condition, paths: classes.into_iter().collect() }
    }

    /// The condition that WordPress had. Of one that was not asked, nothing is expected.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.condition.unwrap_or(Condition::Silent)
    }

    /// The class that a path had. Of one that was not asked for, an answer of the site itself is all that is known to
    /// be right.
    #[must_use]
    pub fn of(&self, path: &str) -> PageClass {
        self.paths.get(path).copied().unwrap_or(PageClass::Error)
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
        let baseline = Baseline::new(None, [("/".to_owned(), PageClass::Unavailable)]);
        for better in [PageClass::Full, PageClass::Redirect, PageClass::Refused, PageClass::Unavailable] {
            assert!(baseline.is_met_by("/", better), "{better}");
        }
        for worse in [PageClass::Blank, PageClass::Error, PageClass::Silent] {
            assert!(!baseline.is_met_by("/", worse), "{worse}");
        }
        let silent = Baseline::new(None, [("/".to_owned(), PageClass::Silent)]);
        assert!(PageClass::ALL.iter().all(|class| silent.is_met_by("/", *class)), "it can't get worse");
    }

    #[test]
    fn of_an_unknown_path_the_site_s_own_answer_is_enough() {
        let none = Baseline::default();
        assert!(none.is_met_by("/", PageClass::Error) && !none.is_met_by("/", PageClass::Silent));
        assert_eq!(none.condition(), Condition::Silent);
    }

    #[test]
    fn it_is_stored_by_path() {
        let baseline = Baseline::new(None, [("/".to_owned(), PageClass::Refused)]);
        let text = serde_json::to_string(&baseline).unwrap();
        assert_eq!(text, r#"{"/":"refused"}"#);
        assert_eq!(serde_json::from_str::<Baseline>(&text).unwrap(), baseline);
        let asked = Baseline { condition: Some(Condition::Serving), ..baseline };
        let text = serde_json::to_string(&asked).unwrap();
        assert_eq!(text, r#"{"condition":"serving","/":"refused"}"#);
        assert_eq!(serde_json::from_str::<Baseline>(&text).unwrap(), asked);
    }
}
