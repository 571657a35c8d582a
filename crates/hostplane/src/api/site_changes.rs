//! `PATCH /sites/{site}`, and upgrade, suspend, resume and rotate of a site.

use axum::extract::State;
use axum::response::Response;
use hostplane_domain::name::SiteName;
use hostplane_domain::site_change::{LimitsPatch, PhpPatch, SettingsPatch, SiteChange};

use super::extract::{InPath, Members, Params};
use super::problem::{ApiResult, Problem};
use super::sites::accepted;
use super::state::Api;

const LIMITS: &str = "limits is an object with any of php_workers, database_connections, upload_mib and, in objects php \
                      and nginx, memory_mib, cpu_milli, pids, log_mib; each is a whole number";

const PHP: &str = "php is an object with any of memory_mib, max_execution_seconds, max_input_vars and opcache_mib, each a \
                   whole number, and disallow_file_edit, which is true or false";

pub(super) async fn update(
    State(api): State<Api>,
    InPath(name): InPath<SiteName>,
    params: Params,
    members: Members,
) -> ApiResult<Response> {
    params.only(&[])?;
    members.only(&["limits", "php"])?;
    let limits: Option<LimitsPatch> = members.parsed("limits", LIMITS)?;
    let php: Option<PhpPatch> = members.parsed("php", PHP)?;
    if limits.is_none() && php.is_none() {
        return Err(Problem::whole_body("the body changes nothing; send limits, php or both"));
    }
    let patch = SettingsPatch { limits: limits.unwrap_or_default(), php: php.unwrap_or_default() };
    change(&api, &name, &SiteChange::Settings(patch)).await
}

pub(super) async fn upgrade(
    State(api): State<Api>,
    InPath(name): InPath<SiteName>,
    params: Params,
) -> ApiResult<Response> {
    params.only(&[])?;
    Ok(accepted(api.app.upgrade_site(&name).await?))
}

pub(super) async fn suspend(
    State(api): State<Api>,
    InPath(name): InPath<SiteName>,
    params: Params,
) -> ApiResult<Response> {
    params.only(&[])?;
    change(&api, &name, &SiteChange::Suspended(true)).await
}

pub(super) async fn resume(
    State(api): State<Api>,
    InPath(name): InPath<SiteName>,
    params: Params,
) -> ApiResult<Response> {
    params.only(&[])?;
    change(&api, &name, &SiteChange::Suspended(false)).await
}

pub(super) async fn rotate(
    State(api): State<Api>,
    InPath(name): InPath<SiteName>,
    params: Params,
) -> ApiResult<Response> {
    params.only(&[])?;
    Ok(accepted(api.app.rotate_site(&name).await?))
}

async fn change(api: &Api, name: &SiteName, change: &SiteChange) -> ApiResult<Response> {
    Ok(accepted(api.app.change_site(name, change).await?))
}
