//! Limit on the time of sites' statements in the database. One query finds those of all sites that have run for longer,
//! and they are ended. They are waited for by PHP of their own site alone, while they take MariaDB's time from all.

use std::collections::BTreeMap;
use std::future::pending;
use std::time::Duration;

use hostplane_domain::ids::InstanceId;
use hostplane_domain::name::SiteName;
use hostplane_infra::databases::EndedStatement;
use hostplane_infra::world::World;
use tokio::time::sleep;
use tracing::{debug, warn};

/// The loop that ends statements.
pub(crate) struct StatementLimit {
    pub world: World,
    pub instance: InstanceId,
    /// Longest time of a statement; zero is no limit.
    pub limit: Duration,
}

impl StatementLimit {
    /// Ends statements again and again, each within a tenth of the limit past it.
    pub async fn run(&self) {
        if self.limit.is_zero() {
            return pending().await;
        }
        let limit_s = u32::try_from(self.limit.as_secs()).unwrap_or(u32::MAX);
        let pause = (self.limit / 10).clamp(Duration::from_secs(1), Duration::from_secs(30));
        loop {
            sleep(pause).await;
            match self.world.databases.end_long_statements(self.instance, limit_s).await {
                Ok(ended) => report(&ended),
                // Readiness and `doctor` report a server that doesn't answer.
                Err(error) => debug!(error = %error.chain(), "long statements could not be listed"),
            }
        }
    }
}

/// A line for each site, as one may run many at once.
fn report(ended: &[EndedStatement]) {
    let mut sites: BTreeMap<&SiteName, Vec<&EndedStatement>> = BTreeMap::new();
    for statement in ended {
        sites.entry(&statement.site.name).or_default().push(statement);
    }
    for (site, mut statements) in sites {
        statements.sort_by_key(|statement| statement.ran_s);
        let Some(longest) = statements.last() else { continue };
        warn!(
            site = site.as_str(),
            statements = statements.len(),
            seconds = longest.ran_s,
            kind = longest.kind,
            "ended statements in the database that ran for too long; STATEMENT_SECONDS is the limit"
        );
    }
}

#[cfg(test)]
mod tests {
    use hostplane_domain::mark::{Mark, SiteRef};
    use hostplane_domain::naming::ResourceKind;
    use hostplane_domain::spec_hash::SpecHash;
    use hostplane_infra::databases::{Databases, TenantSpec};
    use hostplane_infra::error::Dependency;
    use hostplane_testing::fake::{FakeWorld, ScriptedGate, StatementState};
    use hostplane_testing::harness::name;
    use tokio::time::Instant;
    use uuid::Uuid;

    use super::*;

    /// A world with the site `hello`.
    async fn world() -> (FakeWorld, InstanceId) {
        let (world, instance) = (FakeWorld::default(), InstanceId::new(Uuid::from_u128(1)));
        let mark = Mark {
            instance,
            site: SiteRef { id: hostplane_domain::ids::SiteId::new(Uuid::from_u128(2)), name: name("hello") },
            kind: ResourceKind::Database,
            job: hostplane_domain::ids::JobId::new(Uuid::from_u128(3)),
            spec: SpecHash::of(&"x"),
        };
        let spec =
            TenantSpec { mark, password_hash: format!("*{}", "A".repeat(40)), max_connections: 20, restricted: false };
        world.ensure_tenant(&spec).await.unwrap();
        (world, instance)
    }

    fn begin(world: &FakeWorld, user: &str) {
        let since = hostplane_infra::clock::Clock::now(&world.clock());
        world.state().databases.statements.push(StatementState { user: user.to_owned(), since });
    }

    fn under_way(world: &FakeWorld) -> Vec<String> {
        world.state().databases.statements.iter().map(|statement| statement.user.clone()).collect()
    }

    fn start(world: &FakeWorld, gate: &std::sync::Arc<ScriptedGate>, instance: InstanceId, limit: Duration) {
        let loops = StatementLimit { world: world.behind(gate.clone()), instance, limit };
        tokio::spawn(async move { loops.run().await });
    }

    #[tokio::test(start_paused = true)]
    async fn a_site_s_long_statement_is_ended_and_no_other() {
        let (world, instance) = world().await;
        let gate = ScriptedGate::new();
        let begun = Instant::now();
        begin(&world, "wp_hello");
        begin(&world, "hostplane");
        start(&world, &gate, instance, Duration::from_mins(5));
        // The tenth call comes at the limit.
        gate.reached(8).await;
        assert_eq!(under_way(&world), ["wp_hello", "hostplane"]);
        gate.reached(10).await;
        assert_eq!(under_way(&world), ["hostplane"]);
        assert_eq!(begun.elapsed().as_secs(), 330, "one query each 30 s");
        assert!(gate.calls().iter().all(|call| call.name == "mariadb.end_long_statements"));
    }

    #[tokio::test(start_paused = true)]
    async fn it_goes_on_after_a_failure() {
        let (world, instance) = world().await;
        let gate = ScriptedGate::new();
        gate.cut_off(Dependency::Mariadb);
        begin(&world, "wp_hello");
        start(&world, &gate, instance, Duration::from_secs(10));
        gate.reached(20).await;
        gate.reconnect(Dependency::Mariadb);
        gate.reached(40).await;
        assert_eq!(under_way(&world), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn zero_is_no_limit() {
        let (world, instance) = world().await;
        let gate = ScriptedGate::new();
        begin(&world, "wp_hello");
        start(&world, &gate, instance, Duration::ZERO);
        sleep(Duration::from_hours(24)).await;
        assert_eq!((gate.calls().len(), under_way(&world).len()), (0, 1));
    }
}
