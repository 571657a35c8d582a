//! The subnets of sites.

use std::collections::BTreeMap;

use hostplane_domain::ids::SiteId;
use hostplane_domain::subnet::{SubnetPool, overlap};
use hostplane_infra::clock::Timestamp;
use ipnet::Ipv4Net;

use super::dialect::Connection;
use super::row::parse;
use super::{StoreError, Stored, sql};

/// The site's subnet: the one that it has, or the first free one of the pool, which is then its. `None`
/// when the pool is full. A subnet that overlaps with `in_use` counts as taken.
pub(super) async fn allocate(
    tx: &mut Connection,
    site: SiteId,
    pool: SubnetPool,
    in_use: &[Ipv4Net],
    now: Timestamp,
) -> Stored<Option<Ipv4Net>> {
    sql::query("DELETE FROM subnets WHERE blocked_until <= $1").bind(now.0).execute(&mut *tx).await?;
    let own: Option<String> = sql::scalar("SELECT subnet FROM subnets WHERE site_id = $1")
        .bind(site.to_string())
        .fetch_optional(&mut *tx)
        .await?;
    if let Some(own) = own {
        return parse(&own, "subnets.subnet").map(Some);
    }
    let rows: Vec<String> = sql::scalar("SELECT subnet FROM subnets").fetch_all(&mut *tx).await?;
    // An unreadable one takes no room that could be known; `in_use` still shows its network.
    let taken: BTreeMap<_, Ipv4Net> =
        rows.iter().filter_map(|text| text.parse().ok()).map(|subnet: Ipv4Net| (subnet.network(), subnet)).collect();
    let free = |candidate: &Ipv4Net| {
        !taken.values().any(|other| overlap(other, candidate)) && !in_use.iter().any(|other| overlap(other, candidate))
    };
    // Rows of the present pool are found at their address; only those of an earlier pool need the search.
    let found = pool.subnets().find(|candidate| !taken.contains_key(&candidate.network()) && free(candidate));
    if let Some(subnet) = found {
        sql::query("INSERT INTO subnets (subnet, site_id) VALUES ($1, $2)")
            .bind(subnet.to_string())
            .bind(site.to_string())
            .execute(&mut *tx)
            .await?;
    }
    Ok(found)
}

/// Takes the site's subnet away from it. With `blocked_until`, no site gets it before.
pub(super) async fn release(tx: &mut Connection, site: SiteId, blocked_until: Option<Timestamp>) -> Stored<()> {
    let (statement, until) = match blocked_until {
        Some(until) => ("UPDATE subnets SET site_id = NULL, blocked_until = $2 WHERE site_id = $1", until.0),
        None => ("DELETE FROM subnets WHERE site_id = $1 AND $2 = 0", 0),
    };
    sql::query(statement)
        .bind(site.to_string())
        .bind(until)
        .execute(&mut *tx)
        .await
        .map(|_| ())
        .map_err(StoreError::from)
}
