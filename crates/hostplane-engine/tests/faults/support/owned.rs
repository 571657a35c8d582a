//! The data of a site that is its owner's, and what may become of it.

use std::collections::BTreeMap;

use hostplane_infra::containers::ArchiveEntry;
use hostplane_testing::fake::State;

use crate::check::Verdict;
use crate::hands::{database, files};
use crate::owner::OwnerAction;

/// All of a site that is its owner's, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owned {
    /// Permission bits and owner of the files' root.
    root: Option<(u32, u32)>,
    files: BTreeMap<String, ArchiveEntry>,
    tables: BTreeMap<String, String>,
}

impl Owned {
    /// Everything but our marker, and the files that a repair has kept.
    fn of(state: &State) -> Self {
        let volume = state.containers.volumes.get(&files());
        let all = volume.map(|volume| volume.files.clone()).unwrap_or_default();
        let database = state.databases.databases.get(&database());
        Self {
            root: volume.map(|volume| (volume.mode, volume.uid)),
            files: all.into_iter().filter(|(path, _)| !path.starts_with(".hostplane-")).collect(),
            tables: database.map(|database| database.tables.clone()).unwrap_or_default(),
        }
    }
}

/// An action that was taken, and the owner's data as it has to stay.
#[derive(Debug, Clone)]
pub struct Taken {
    pub action: OwnerAction,
    stays: Owned,
}

impl Taken {
    /// Takes an action.
    pub fn now(action: OwnerAction, state: &mut State) -> Self {
        let before = Owned::of(state);
        action.act(state);
        let stays = if action.is_undone() { before } else { Owned::of(state) };
        Self { action, stays }
    }

    /// Puts back what was deleted, from the owner's backup.
    pub fn put_back(&self, state: &mut State) {
        if let Some(volume) = state.containers.volumes.get_mut(&files()) {
            volume.files.extend(self.stays.files.clone());
        }
        if let Some(database) = state.databases.databases.get_mut(&database()) {
            database.tables.clone_from(&self.stays.tables);
        }
    }

    /// The owner's data is as it has to stay, and nothing of it is lost.
    pub fn is_kept(&self, state: &State) -> Verdict {
        let found = Owned::of(state);
        if found != self.stays {
            return Err(format!("the owner's data is {found:#?} and was {:#?}", self.stays));
        }
        let kept = |path: &String| path.starts_with(".hostplane-replaced-");
        let is_kept = state.containers.volumes[&files()].files.keys().any(kept);
        if is_kept != (self.action == OwnerAction::CoreHalfUpdated) {
            return Err(format!("replaced files are kept: {is_kept}"));
        }
        Ok(())
    }
}
