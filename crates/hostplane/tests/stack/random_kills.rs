//! SIGKILL at random moments, while several operations run.
//!
//! Nothing of the test has the database open when the control plane is killed and started, so that the
//! database recovers its write-ahead log as it would after any crash.

use std::time::{Duration, Instant};

use crate::instance::Instance;
use crate::journal::Journal;
use crate::ledger::Ledger;
use crate::probe::Probe;

const SEED: &str = "HOSTPLANE_KILL_SEED";
const DEFAULT_SEED: u64 = 20_261_123;
const KILLS: u32 = 20;
/// A provision takes about so long.
const LONGEST_DELAY_MS: u64 = 3_000;

#[tokio::test]
async fn operations_survive_kills_at_random_moments() {
    let seed = std::env::var(SEED).map_or(DEFAULT_SEED, |seed| seed.parse().expect("a number"));
    println!("random kills: {SEED}={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let begun = Instant::now();
    let mut instance = Instance::up();
    let bystander = instance.site("bystander");
    instance.create(&bystander);
    let probe = Probe::of(&instance, &bystander);

    let names = ["one", "two", "three"].map(|name| instance.site(name));
    // From the beginning some are made and some are destroyed.
    instance.create(&names[0]);
    instance.create(&names[1]);
    let mut known = read_ledger(&instance).await;
    let (mut orders, mut hits) = (known.jobs.len(), 0);
    for _ in 0..KILLS {
        // Each idle site gets an order: an existing site is destroyed, an absent one is made.
        for name in &names {
            orders += usize::from(order_if_idle(&instance, &known, name));
        }
        std::thread::park_timeout(Duration::from_millis(random.u64(0..LONGEST_DELAY_MS)));
        instance.kill();
        instance.spawn();
        instance.wait_until_served();
        hits += u32::from(instance.took_up_jobs());
        let now = read_ledger(&instance).await;
        now.assert_follows(&known);
        assert_eq!(now.jobs.len(), orders, "every order that was taken is a job");
        known = now;
    }

    instance.wait_until_ready();
    for name in &names {
        let ended = instance.job_when(name, |job| job["state"] != "pending" && job["state"] != "running");
        assert_eq!(ended["state"], "completed", "{ended:#}");
        if ended["operation"] == "provision" {
            instance.expect_whole(name);
            instance.done(&["site", "destroy", name, "--yes"]);
        }
    }
    for name in &names {
        instance.gone(name);
        assert_eq!(instance.traces_of(name), Vec::<String>::new());
    }
    read_ledger(&instance).await.assert_follows(&known);
    assert_eq!(instance.sites_outside(), [bystander.as_str()]);

    let visits = probe.end();
    println!("random kills: {KILLS} SIGKILLs, {hits} hit running jobs, {orders} jobs, none lost");
    println!("random kills: {visits}");
    println!("random kills: {:?}", begun.elapsed());
    visits.assert_unharmed(300);
    // A kill may come by chance when nothing runs, but not often.
    assert!(hits > KILLS / 2, "only {hits} of {KILLS} kills hit a running job");
    instance.expect_whole(&bystander);
}

/// Reads the control database. The control plane runs, so this is not the last to close it.
async fn read_ledger(instance: &Instance) -> Ledger {
    let mut journal = Journal::open(&instance.database()).await;
    let ledger = journal.read().await;
    journal.close().await;
    ledger
}

fn order_if_idle(instance: &Instance, seen: &Ledger, name: &str) -> bool {
    let order: &[&str] = match seen.status_of(name) {
        None | Some("DESTROYED") => &["site", "create", name],
        Some("ACTIVE") => &["site", "destroy", name, "--yes"],
        Some(_) => return false,
    };
    instance.done(order);
    true
}
