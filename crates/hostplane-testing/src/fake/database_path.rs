//! Fake of the path from the sites to the database server.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::FakeWorld;
use hostplane_infra::database_path::{ClosedPath, DatabasePath, PathState};
use hostplane_infra::error::Effect;

/// State of the path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum FakePath {
    /// It is open.
    #[default]
    Open,
    /// It is closed: no site reaches its database.
    Closed(ClosedPath),
    /// Nothing can ask, for this reason.
    Unwatched(String),
}

#[async_trait]
impl DatabasePath for FakeWorld {
    async fn ping(&self) -> Effect<PathState> {
        match self.state().database_path.clone() {
            FakePath::Open => Ok(PathState::Open),
            FakePath::Closed(closed) => Err(closed.into()),
            FakePath::Unwatched(why) => Ok(PathState::Unwatched(why)),
        }
    }
}
