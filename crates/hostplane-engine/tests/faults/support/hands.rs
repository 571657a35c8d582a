//! An owner's hands in the files and the tables of his site.

use hostplane_domain::ids::SiteId;
use hostplane_domain::naming;
use hostplane_testing::fake::{DatabaseState, State};
use hostplane_testing::harness::name;

use crate::scenario::SITE;

pub const MARKER: &str = ".hostplane-site";
const CONFIG: &str = "wp-config.php";
pub const VERSION: &str = "wp-includes/version.php";
pub const MAINTENANCE: &str = ".maintenance";
/// Its text while an update runs, and after one that broke off.
pub const RUNNING: &str = "running";
const INTERRUPTED: &str = "<?php $upgrading = 1500000000; ?>";

/// The id of another site.
pub fn another() -> SiteId {
    "01a229af-abb4-721e-b0f5-d92f28d0b64f".parse().expect("an id")
}

pub fn files() -> String {
    naming::files_volume(&name(SITE))
}

pub fn database() -> String {
    naming::database(&name(SITE))
}

/// Ends the update that runs.
pub fn end_update(state: &mut State) {
    if state.containers.read_file(&files(), MAINTENANCE).is_some_and(|text| text == RUNNING) {
        state.containers.delete_file(&files(), MAINTENANCE);
    }
}

/// An owner's hands in his site.
pub struct Hands<'a>(&'a mut State);

impl<'a> Hands<'a> {
    pub fn in_site(state: &'a mut State) -> Self {
        Self(state)
    }

    pub fn write(&mut self, path: &str, text: &str) {
        self.0.containers.write_file(&files(), path, text.to_owned());
    }

    pub fn delete(&mut self, path: &str) {
        self.0.containers.delete_file(&files(), path);
    }

    pub fn delete_files(&mut self) {
        if let Some(volume) = self.0.containers.volumes.get_mut(&files()) {
            volume.files.clear();
        }
    }

    pub fn make_read_only(&mut self) {
        if let Some(volume) = self.0.containers.volumes.get_mut(&files()) {
            volume.mode = 0o555;
        }
    }

    /// Puts a line after the generated settings.
    pub fn configure(&mut self, line: &str) {
        let generated = "require '/etc/hostplane/wp-config.php';\n";
        if let Some(text) = self.0.containers.read_file(&files(), CONFIG) {
            let text = String::from_utf8_lossy(&text).into_owned();
            self.write(CONFIG, &text.replacen(generated, &format!("{generated}{line}"), 1));
        }
    }

    /// Copies what the generated settings say of the database, and reads them no more.
    pub fn configure_alone(&mut self) {
        let generated = self.0.containers.read_file(&naming::php_volume(&name(SITE)), CONFIG);
        if let Some(generated) = generated {
            let generated = String::from_utf8_lossy(&generated).into_owned();
            let of_database = generated.lines().filter(|line| line.starts_with("define( 'DB_"));
            self.write(CONFIG, &format!("<?php\n{}\n", of_database.collect::<Vec<_>>().join("\n")));
        }
    }

    pub fn update_core(&mut self) {
        self.write(VERSION, "<?php\n$wp_version = '99.1';\n");
        self.write("wp-includes/newer.php", "<?php // of a newer core");
    }

    pub fn break_update_off(&mut self) {
        self.write("index.php", "<?php // of the next version");
        self.write(MAINTENANCE, INTERRUPTED);
    }

    fn database(&mut self) -> Option<&mut DatabaseState> {
        self.0.databases.databases.get_mut(&database())
    }

    pub fn make_table(&mut self, table: &str, rows: &str) {
        if let Some(database) = self.database() {
            database.tables.insert(table.to_owned(), rows.to_owned());
        }
    }

    pub fn replace_options(&mut self, marker: Option<SiteId>) {
        self.make_table("wp_options", "A migrated site");
        if let Some(database) = self.database() {
            database.installed = marker;
        }
    }

    pub fn rename_tables(&mut self, from: &str, to: &str) {
        if let Some(database) = self.database() {
            let renamed = |table: String| table.strip_prefix(from).map_or(table.clone(), |rest| format!("{to}{rest}"));
            let tables = std::mem::take(&mut database.tables);
            database.tables = tables.into_iter().map(|(table, rows)| (renamed(table), rows)).collect();
        }
    }

    pub fn drop_tables(&mut self) {
        if let Some(database) = self.database() {
            *database = DatabaseState::default();
        }
    }
}
