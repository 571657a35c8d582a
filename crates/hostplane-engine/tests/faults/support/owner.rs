//! Actions of an owner on his own site, which he may take at any moment, and the end that each operation comes to then.

use std::fmt;
use std::str::FromStr;

use hostplane_domain::job::OperationName;
use hostplane_domain::naming::ResourceKind;
use hostplane_infra::gate::Call;
use hostplane_testing::fake::{ANSWERS, State};

use crate::hands::{Hands, MAINTENANCE, MARKER, RUNNING, VERSION, another};
use crate::scenario::Scenario;

/// Declares the actions together with the list of all of them.
macro_rules! actions {
    ($($(#[$doc:meta])* $action:ident),+ $(,)?) => {
        /// An action of an owner.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum OwnerAction { $($(#[$doc])* $action),+ }

        impl OwnerAction {
            pub const ALL: &[Self] = &[$(Self::$action),+];
        }
    };
}

actions! {
    /// A plugin hides the log-in.
    LoginHidden,
    /// The front page redirects to that of a language.
    FrontPageRedirects,
    /// A plugin lets only members in.
    MembersOnly,
    /// A plugin says that the site is being built.
    ComingSoon,
    /// A plugin ends every request with a fatal error.
    PluginFails,
    /// `cp backup/* .` leaves the dotfiles out.
    FilesMarkerLost,
    /// The files are a copy of another site's.
    FilesOfAnotherSite,
    /// A migration plugin replaces the options.
    OptionsReplaced,
    /// It replaces them with those of another site.
    OptionsOfAnotherSite,
    /// The tables get another prefix.
    PrefixChanged,
    /// The configuration names a prefix of which no table is there.
    PrefixOfNothing,
    /// The configuration has settings of the owner's own.
    OwnConfiguration,
    /// It has the database's password in it, and reads none of the generated settings.
    OwnPassword,
    /// Core is updated to a version that no image has.
    NewerCore,
    /// The site becomes a network of sites.
    Multisite,
    /// The site moves to an address elsewhere.
    HomeMoved,
    /// The root of the files is made read-only.
    FilesReadOnly,
    /// The same, without the marker in them.
    UnmarkedFilesReadOnly,
    /// Another program takes WordPress's place.
    FilesOfAnotherProgram,
    /// An update is run, and ends.
    UpdateRuns,
    /// An update of core breaks off in the middle.
    CoreHalfUpdated,
    /// An update of a newer core breaks off in the middle.
    NewerCoreHalfUpdated,
    /// Every file is deleted.
    FilesDeleted,
    /// Every table is dropped.
    TablesDropped,
}

/// The consequence of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Consequence {
    /// None: the pages are as good as before.
    None,
    /// Some page is worse than before.
    Pages,
    /// The pages fail once the database has another password.
    Password,
    /// Data of the site is gone.
    Gone,
}

/// The moment of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Before,
    During,
}

/// The end of an operation during which an owner acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It succeeds.
    Succeeds,
    /// It fails with these words, and is rolled back.
    Fails(&'static str),
    /// One or the other, by the moment: who made a page worse during a change is not to be known.
    MayFail(&'static str),
    /// A job of the site needs an operator, with these words: nothing but a backup brings back data that is gone.
    Held(&'static str),
}

/// The words of a change after which a page is worse.
const WORSE: &str = "worse than before the change";
/// Those of a new site whose pages aren't those of one.
const NO_PAGE: &str = "answers with";
const GONE: &str = "data of the site is gone";
const INJECTED: &str = "injected";

impl OwnerAction {
    /// Does it to the site, as far as that is there.
    pub fn act(self, state: &mut State) {
        let mut site = Hands::in_site(state);
        match self {
            Self::LoginHidden => site.write(ANSWERS, "/wp-login.php 404"),
            Self::FrontPageRedirects => site.write(ANSWERS, "/ 302"),
            Self::MembersOnly => site.write(ANSWERS, "/ 401\n/wp-login.php 401"),
            Self::ComingSoon => site.write(ANSWERS, "/ 503\n/wp-login.php 503"),
            Self::PluginFails => site.write(ANSWERS, "/ 500\n/wp-login.php 500"),
            Self::FilesMarkerLost => site.delete(MARKER),
            Self::FilesOfAnotherSite => site.write(MARKER, &format!("{}\n", another())),
            Self::OptionsReplaced => site.replace_options(None),
            Self::OptionsOfAnotherSite => site.replace_options(Some(another())),
            Self::PrefixChanged => {
                site.rename_tables("wp_", "theirs_");
                site.configure("$table_prefix = 'theirs_';\n");
            }
            Self::PrefixOfNothing => site.configure("$table_prefix = 'theirs_';\n"),
            Self::OwnConfiguration => site.configure("define( 'OWNERS_OWN', true );\n"),
            Self::OwnPassword => site.configure_alone(),
            Self::NewerCore => site.update_core(),
            Self::Multisite => {
                site.configure("define( 'MULTISITE', true );\n");
                site.make_table("wp_blogs", "1 /");
            }
            Self::HomeMoved => site.configure("define( 'WP_HOME', 'http://elsewhere.test' );\n"),
            Self::FilesReadOnly => site.make_read_only(),
            Self::UnmarkedFilesReadOnly => {
                site.delete(MARKER);
                site.make_read_only();
            }
            Self::FilesOfAnotherProgram => {
                site.delete(MARKER);
                site.delete(VERSION);
            }
            Self::UpdateRuns => site.write(MAINTENANCE, RUNNING),
            Self::CoreHalfUpdated => site.break_update_off(),
            Self::NewerCoreHalfUpdated => {
                site.update_core();
                site.break_update_off();
            }
            Self::FilesDeleted => site.delete_files(),
            Self::TablesDropped => site.drop_tables(),
        }
    }

    fn consequence(self) -> Consequence {
        match self {
            Self::LoginHidden
            | Self::FrontPageRedirects
            | Self::MembersOnly
            | Self::ComingSoon
            | Self::PluginFails
            | Self::PrefixOfNothing => Consequence::Pages,
            Self::OwnPassword => Consequence::Password,
            Self::FilesDeleted | Self::TablesDropped => Consequence::Gone,
            Self::FilesMarkerLost
            | Self::FilesOfAnotherSite
            | Self::OptionsReplaced
            | Self::OptionsOfAnotherSite
            | Self::PrefixChanged
            | Self::OwnConfiguration
            | Self::NewerCore
            | Self::Multisite
            | Self::HomeMoved
            | Self::FilesReadOnly
            | Self::UnmarkedFilesReadOnly
            | Self::FilesOfAnotherProgram
            | Self::UpdateRuns
            | Self::CoreHalfUpdated
            | Self::NewerCoreHalfUpdated => Consequence::None,
        }
    }

    /// The resource that differs from then on: it is reported, and only its owner or an operator can end it.
    pub fn shows(self) -> Option<ResourceKind> {
        match self {
            Self::PrefixOfNothing => Some(ResourceKind::WordpressInstall),
            Self::UnmarkedFilesReadOnly | Self::FilesOfAnotherProgram | Self::NewerCoreHalfUpdated => {
                Some(ResourceKind::WordpressFiles)
            }
            Self::LoginHidden
            | Self::FrontPageRedirects
            | Self::MembersOnly
            | Self::ComingSoon
            | Self::PluginFails
            | Self::FilesMarkerLost
            | Self::FilesOfAnotherSite
            | Self::OptionsReplaced
            | Self::OptionsOfAnotherSite
            | Self::PrefixChanged
            | Self::OwnConfiguration
            | Self::OwnPassword
            | Self::NewerCore
            | Self::Multisite
            | Self::HomeMoved
            | Self::FilesReadOnly
            | Self::UpdateRuns
            | Self::CoreHalfUpdated
            | Self::FilesDeleted
            | Self::TablesDropped => None,
        }
    }

    /// True for a call that reads or writes what the action changes. Before any other call he may as well act before the
    /// next one: nothing can tell.
    pub fn concerns(self, call: &Call) -> bool {
        let (visits, asks_php) = (call.name.starts_with("probe."), call.name.starts_with("wordpress."));
        match self {
            Self::LoginHidden
            | Self::FrontPageRedirects
            | Self::MembersOnly
            | Self::ComingSoon
            | Self::PluginFails
            | Self::OwnPassword
            | Self::HomeMoved => visits,
            Self::FilesMarkerLost | Self::FilesOfAnotherSite | Self::NewerCore | Self::UpdateRuns => asks_php,
            Self::FilesReadOnly | Self::UnmarkedFilesReadOnly => asks_php || call.name == "docker.upload",
            Self::OptionsReplaced
            | Self::OptionsOfAnotherSite
            | Self::PrefixChanged
            | Self::PrefixOfNothing
            | Self::OwnConfiguration
            | Self::Multisite
            | Self::FilesOfAnotherProgram
            | Self::CoreHalfUpdated
            | Self::NewerCoreHalfUpdated
            | Self::FilesDeleted
            | Self::TablesDropped => visits || asks_php,
        }
    }

    /// True when the owner's data is, in the end, as it was before: the update has ended, the half of a core is made
    /// whole, or he has put back what he deleted.
    pub fn is_undone(self) -> bool {
        self.is_gone() || matches!(self, Self::UpdateRuns | Self::CoreHalfUpdated)
    }

    /// True when data is gone, which a backup brings back.
    pub fn is_gone(self) -> bool {
        self.consequence() == Consequence::Gone
    }

    /// The end of the same operation after one that failed.
    pub fn end_of_the_next(self, scenario: Scenario) -> End {
        let straight = Scenario { turned: false, ..scenario };
        match self.consequence() {
            // What was gone is there again.
            Consequence::Gone => End::Succeeds,
            // The owner may have copied the password that the next change brings.
            Consequence::Password => self.end(straight, Moment::During),
            Consequence::None | Consequence::Pages => self.end(straight, Moment::Before),
        }
    }

    /// The end of an operation during which it happens, or before.
    pub fn end(self, scenario: Scenario, moment: Moment) -> End {
        use OperationName as Of;
        let consequence = self.consequence();
        match (consequence, scenario.operation) {
            (_, Of::Destroy | Of::Collect) => End::Succeeds,
            (Consequence::Gone, Of::Provision) if !scenario.turned => End::MayFail(NO_PAGE),
            // They concern the route and the rights in the database alone.
            (Consequence::Gone, Of::Restrict | Of::Lift) if !scenario.turned => End::Succeeds,
            (Consequence::Gone, Of::Restrict | Of::Lift) => End::Fails(INJECTED),
            (Consequence::Gone, _) => End::Held(GONE),
            _ if scenario.turned => End::Fails(INJECTED),
            // Neither a repair nor a suspended site asks for pages, and one that is resumed has none to compare with.
            (Consequence::None, _) | (_, Of::Repair | Of::Suspend | Of::Resume | Of::Restrict | Of::Lift) => {
                End::Succeeds
            }
            (Consequence::Pages, Of::Provision) => End::MayFail(NO_PAGE),
            (Consequence::Password, Of::Provision | Of::Update | Of::Upgrade) => End::Succeeds,
            (Consequence::Password, Of::Rotate) if moment == Moment::Before => End::Fails(WORSE),
            (Consequence::Pages, Of::Update | Of::Upgrade | Of::Rotate) if moment == Moment::Before => End::Succeeds,
            (Consequence::Pages, Of::Update | Of::Upgrade | Of::Rotate) | (Consequence::Password, Of::Rotate) => {
                End::MayFail(WORSE)
            }
        }
    }
}

impl fmt::Display for OwnerAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl FromStr for OwnerAction {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|action| action.to_string() == text);
        found.copied().ok_or_else(|| format!("no owner's action {text}"))
    }
}
