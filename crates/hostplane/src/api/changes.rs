//! Orders that change a site that is there.

use axum::extract::State;
use axum::response::Response;
use hostplane_domain::change::{Change, LimitsPatch};
use hostplane_domain::name::SiteName;

use super::Api;
use super::extract::{InPath, Members, Params};
use super::problem::{Answer, Problem};
use super::sites::accepted;

const LIMITS: &str = "limits is an object with any of php_workers, database_connections, upload_mib and, in objects php \
                      and nginx, memory_mib, cpu_milli, pids, log_mib; each is a whole number";

pub(super) async fn update(
    State(api): State<Api>,
    InPath(name): InPath<SiteName>,
    params: Params,
    members: Members,
) -> Answer<Response> {
    params.only(&[])?;
    members.only(&["limits"])?;
    let limits: LimitsPatch =
        members.parsed("limits", LIMITS)?.ok_or_else(|| Problem::field("limits", format!("missing; {LIMITS}")))?;
    change(&api, &name, &Change::Limits(limits)).await
}

pub(super) async fn upgrade(
    State(api): State<Api>,
    InPath(name): InPath<SiteName>,
    params: Params,
) -> Answer<Response> {
    params.only(&[])?;
    Ok(accepted(api.app.upgrade_site(&name).await?))
}

pub(super) async fn suspend(
    State(api): State<Api>,
    InPath(name): InPath<SiteName>,
    params: Params,
) -> Answer<Response> {
    params.only(&[])?;
    change(&api, &name, &Change::Suspended(true)).await
}

pub(super) async fn resume(State(api): State<Api>, InPath(name): InPath<SiteName>, params: Params) -> Answer<Response> {
    params.only(&[])?;
    change(&api, &name, &Change::Suspended(false)).await
}

pub(super) async fn rotate(State(api): State<Api>, InPath(name): InPath<SiteName>, params: Params) -> Answer<Response> {
    params.only(&[])?;
    change(&api, &name, &Change::Secrets).await
}

async fn change(api: &Api, name: &SiteName, change: &Change) -> Answer<Response> {
    Ok(accepted(api.app.change_site(name, change).await?))
}
