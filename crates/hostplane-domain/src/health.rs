//! The health of a site's WordPress, as it says itself in answer to a signed question.

use std::fmt;

use crate::text_enum::text_enum;

text_enum!(
    /// The stages in which WordPress loads, in order; the names are those of its own hooks.
    Stage, "stage of WordPress" {
        /// Its configuration, and what runs before any plugin.
        Config = "config",
        /// The plugins that can't be switched off.
        MuPluginsLoaded = "muplugins_loaded",
        /// All plugins.
        PluginsLoaded = "plugins_loaded",
        /// The theme too.
        AfterSetupTheme = "after_setup_theme",
        /// Plugins and theme have set themselves up.
        Init = "init",
        /// All of WordPress.
        WpLoaded = "wp_loaded",
    }
);

text_enum!(
    /// The condition of a site's WordPress, from the best to the worst.
    Condition, "condition of WordPress" {
        /// It loads with all its plugins and reaches its database.
        Serving = "serving",
        /// Code of the owner's ends requests on purpose before all plugins are loaded.
        Intercepted = "intercepted",
        /// A fatal error, or no database.
        Failing = "failing",
        /// No answer, or one of something that doesn't know the question.
        Silent = "silent",
    }
);

/// WordPress's answer to a signed question. Its texts are short and printable; they are the site's all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The last stage that was reached.
    pub stage: Stage,
    /// The status with which the request ended, or would have ended.
    pub status: u16,
    /// True when WordPress is connected to its database.
    pub database: bool,
    /// The fatal error that ended the request.
    pub fatal: Option<Fatal>,
    /// The target of a redirect.
    pub location: Option<String>,
}

/// The place of a fatal error in the site's code. Its message is in PHP's log alone, as it may hold what is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fatal {
    /// The file, below the site's root.
    pub file: String,
    /// The line.
    pub line: u32,
}

impl Health {
    /// The condition that this answer shows.
    #[must_use]
    pub fn condition(&self) -> Condition {
        match self.stage {
            _ if self.fatal.is_some() => Condition::Failing,
            Stage::Config if self.lacks_tables() || self.status >= 500 => Condition::Failing,
            Stage::Config | Stage::MuPluginsLoaded => Condition::Intercepted,
            _ if self.database => Condition::Serving,
            _ => Condition::Failing,
        }
    }

    /// The fault of a WordPress that fails.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        if self.condition() != Condition::Failing {
            return None;
        }
        Some(match &self.fatal {
            Some(fatal) => format!("a fatal error in {fatal}"),
            None if self.lacks_tables() => "WordPress finds no tables of its own".to_owned(),
            None if !self.database => format!("WordPress reaches no database (status {})", self.status),
            None => format!("WordPress ends with status {}", self.status),
        })
    }

    /// WordPress without tables sends everyone to its installer.
    fn lacks_tables(&self) -> bool {
        self.location.as_ref().is_some_and(|to| to.contains("/wp-admin/install.php"))
    }
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}", self.file, self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loaded() -> Health {
        Health { stage: Stage::WpLoaded, status: 200, database: true, fatal: None, location: None }
    }

    fn judged(health: &Health) -> (Condition, Option<String>) {
        (health.condition(), health.fault())
    }

    #[test]
    fn a_wordpress_that_loads_its_plugins_serves() {
        for stage in [Stage::PluginsLoaded, Stage::AfterSetupTheme, Stage::Init, Stage::WpLoaded] {
            for status in [200, 302, 401, 404, 503] {
                assert_eq!(
                    judged(&Health { stage, status, ..loaded() }),
                    (Condition::Serving, None),
                    "{stage} {status}"
                );
            }
        }
    }

    #[test]
    fn what_ends_it_earlier_on_purpose_is_no_failure() {
        for stage in [Stage::Config, Stage::MuPluginsLoaded] {
            let health = Health { stage, status: 401, database: false, ..loaded() };
            assert_eq!(judged(&health), (Condition::Intercepted, None), "{stage}");
        }
    }

    #[test]
    fn fatal_errors_and_a_missing_database_are_failures() {
        let fatal = Some(Fatal { file: "wp-content/plugins/a.php".to_owned(), line: 3 });
        let says = |health: Health| {
            assert_eq!(health.condition(), Condition::Failing);
            health.fault().expect("a fault")
        };
        assert_eq!(says(Health { fatal, ..loaded() }), "a fatal error in wp-content/plugins/a.php, line 3");
        let config = |status| Health { stage: Stage::Config, status, database: false, ..loaded() };
        assert_eq!(says(config(500)), "WordPress reaches no database (status 500)");
        assert_eq!(says(Health { database: true, ..config(503) }), "WordPress ends with status 503");
        assert_eq!(says(Health { database: false, ..loaded() }), "WordPress reaches no database (status 200)");
        let installer = Some("http://a.test/wp-admin/install.php".to_owned());
        assert_eq!(says(Health { location: installer, ..config(302) }), "WordPress finds no tables of its own");
    }

    #[test]
    fn conditions_go_from_the_best_to_the_worst() {
        assert!(Condition::ALL.is_sorted() && Stage::ALL.is_sorted());
    }
}
