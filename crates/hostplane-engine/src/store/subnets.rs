//! Which site has which subnet.

use std::collections::BTreeMap;

use hostplane_domain::ids::SiteId;
use hostplane_domain::subnet::{SubnetPool, overlap};
use hostplane_infra::clock::Timestamp;
use ipnet::Ipv4Net;
use sqlx::SqliteConnection;

use super::{StoreError, Stored};

/// The site's subnet: the one that it has, or the first free one of the pool, which is then its. `None`
/// when the pool is full. What overlaps with `in_use` counts as taken.
pub(super) async fn allocate(
    tx: &mut SqliteConnection,
    site: SiteId,
    pool: SubnetPool,
    in_use: &[Ipv4Net],
    now: Timestamp,
) -> Stored<Option<Ipv4Net>> {
    sqlx::query("DELETE FROM subnets WHERE blocked_until <= $1").bind(now.0).execute(&mut *tx).await?;
    let rows: Vec<(String, Option<String>)> =
        sqlx::query_as("SELECT subnet, site_id FROM subnets").fetch_all(&mut *tx).await?;
    let mut taken = BTreeMap::new();
    for (subnet, owner) in rows {
        let subnet: Ipv4Net = super::parse(&subnet, "subnets.subnet")?;
        if owner.as_deref() == Some(site.to_string().as_str()) {
            return Ok(Some(subnet));
        }
        taken.insert(subnet.network(), subnet);
    }
    let free = |candidate: &Ipv4Net| {
        !taken.values().any(|other| overlap(other, candidate)) && !in_use.iter().any(|other| overlap(other, candidate))
    };
    // Rows of the present pool are found at their address; only those of an earlier pool need the search.
    let found = pool.subnets().find(|candidate| !taken.contains_key(&candidate.network()) && free(candidate));
    if let Some(subnet) = found {
        sqlx::query("INSERT INTO subnets (subnet, site_id) VALUES ($1, $2)")
            .bind(subnet.to_string())
            .bind(site.to_string())
            .execute(&mut *tx)
            .await?;
    }
    Ok(found)
}

/// Takes the site's subnet away from it. If `blocked_until` is given, nobody gets it before.
pub(super) async fn release(tx: &mut SqliteConnection, site: SiteId, blocked_until: Option<Timestamp>) -> Stored<()> {
    let (statement, until) = match blocked_until {
        Some(until) => ("UPDATE subnets SET site_id = NULL, blocked_until = $2 WHERE site_id = $1", until.0),
        None => ("DELETE FROM subnets WHERE site_id = $1 AND $2 = 0", 0),
    };
    sqlx::query(statement)
        .bind(site.to_string())
        .bind(until)
        .execute(&mut *tx)
        .await
        .map(|_| ())
        .map_err(StoreError::from)
}
