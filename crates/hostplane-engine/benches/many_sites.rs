//! Cost of a full scan of many sites in the in-memory world. `scripts/bench` runs it and keeps its output.
//!
//! The world is the tests' fake of Engine, MariaDB and Caddy, in the same process: the cost of its answers is in each
//! figure unless that says otherwise. Its memory is there before the first scan and not in the scan's figure.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hostplane_domain::job::{JobState, OperationName};
use hostplane_engine::app::App;
use hostplane_engine::store::{JobFilter, Store};
use hostplane_engine::{pace::Pace, site_settings::SiteSettings};
use hostplane_infra::clock::Clock;
use hostplane_infra::containers::ContainerState;
use hostplane_infra::error::EffectError;
use hostplane_infra::gate::{Call, Gate, Verdict};
use hostplane_testing::fake::{FakeClock, FakeWorld, State};
use hostplane_testing::harness::{self, is_at_rest, new_site, secrets};
use tempfile::TempDir;
use tokio::time::sleep;

/// Sites in the smaller and in the larger world.
const SIZES: [usize; 2] = [1_000, 10_000];
/// Sites that are made in one go.
const BATCH: usize = 200;
/// Scans that are measured.
const SCANS: usize = 15;
/// Sites that something is done to.
const DRIFTS: usize = 100;
/// Longest time of all repairs.
const REPAIR_PATIENCE: Duration = Duration::from_mins(2);
/// Time without a call after which all is at rest: longer than from an event of the Engine to the last scan of its
/// site.
const REST: Duration = Duration::from_millis(1_200);

/// Counts calls, and the time that the fake was busy with them: none of its answers waits for anything.
#[derive(Default)]
struct Counter {
    calls: AtomicUsize,
    nanoseconds: AtomicU64,
}

impl Gate for Counter {
    fn admit(&self, _: &Call) -> Verdict {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Verdict::Run
    }

    fn ended(&self, _: &Call, took: Duration, _: Option<&EffectError>) {
        self.nanoseconds.fetch_add(u64::try_from(took.as_nanos()).unwrap(), Ordering::Relaxed);
    }
}

/// An installation with its control plane, in a temporary directory.
struct Installation {
    world: FakeWorld,
    /// The world without a site.
    bare: State,
    calls: Arc<Counter>,
    app: App,
    _home: TempDir,
}

/// Figures of one number of sites.
struct Figures {
    sites: usize,
    making: Duration,
    /// Of each scan: until it had seen everything, and CPU until then.
    walls: Vec<Duration>,
    cpus: Vec<Duration>,
    calls: usize,
    /// CPU of a scan together with the deep scans of a share of the sites after it, and the part of it that the fake
    /// took.
    whole: Duration,
    asking: Duration,
    before: usize,
    peak: usize,
    planning: Duration,
    planned: usize,
    repairing: Duration,
}

impl Installation {
    async fn new() -> Self {
        let (world, calls, home) = (harness::world().await, Arc::new(Counter::default()), TempDir::new().unwrap());
        world.state().containers.has_endless_networks = true;
        let bare = world.state().clone();
        // Scans come when they are asked for.
        let never = Duration::from_hours(1);
        let pace = Pace { scan_interval: never, wp_cron_tick: never, ..Pace::default() };
        let subnet_pool = "10.0.0.0/8".parse().unwrap();
        let settings = SiteSettings { subnet_pool, concurrency: 20, repair_concurrency: 10, ..harness::settings(pace) };
        let now = FakeClock::default().now();
        let store = Store::open(&home.path().join("hostplane.db"), settings.pace.settle, now).await.unwrap();
        let world_behind = world.behind(calls.clone());
        let (app, background) = App::new(store, world_behind, secrets([7; 32]), settings).await.unwrap();
        tokio::spawn(background.run(std::future::pending()));
        app.settle_routes().await.unwrap();
        Self { world, bare, calls, app, _home: home }
    }

    /// Makes sites by jobs, as in life. Meanwhile the earlier ones are taken out of the world, since a fake goes through
    /// all of its state at each call.
    async fn make(&self, from: usize, to: usize) -> Duration {
        let begun = Instant::now();
        let (mut made, repaired) = (vec![self.set_aside()], self.repairs(None).await);
        for batch in (from..to).step_by(BATCH) {
            let mut jobs = Vec::new();
            for nth in batch..to.min(batch + BATCH) {
                jobs.push(self.app.create_site(&new_site(&format!("s{nth}"))).await.unwrap().1.record.id);
            }
            for job in jobs {
                let job = self.app.job_when(job, is_at_rest).await.unwrap();
                assert_eq!(job.record.state, JobState::Completed, "{:?}", job.record.error);
            }
            self.come_to_rest().await;
            assert_eq!(self.repairs(None).await, repaired, "all were there while they were scanned");
            made.push(self.set_aside());
            eprintln!("{} sites after {:?}", to.min(batch + BATCH), begun.elapsed());
        }
        let mut state = self.world.state();
        for batch in made {
            state.containers.containers.extend(batch.containers.containers);
            state.containers.volumes.extend(batch.containers.volumes);
            state.containers.networks.extend(batch.containers.networks);
            state.databases.databases.extend(batch.databases.databases);
            state.databases.users.extend(batch.databases.users);
            state.databases.ledger.extend(batch.databases.ledger);
            state.proxy.snippets.extend(batch.proxy.snippets);
            state.proxy.loaded.extend(batch.proxy.loaded);
        }
        begun.elapsed()
    }

    /// Takes all sites out of the world.
    fn set_aside(&self) -> State {
        let mut state = self.world.state();
        let ids = state.containers.ids;
        let sites = std::mem::replace(&mut *state, self.bare.clone());
        state.containers.ids = ids;
        sites
    }

    fn called(&self) -> usize {
        self.calls.calls.load(Ordering::Relaxed)
    }

    fn asked(&self) -> Duration {
        Duration::from_nanos(self.calls.nanoseconds.load(Ordering::Relaxed))
    }

    async fn come_to_rest(&self) {
        loop {
            let before = self.called();
            sleep(REST).await;
            if self.called() == before {
                return;
            }
        }
    }

    async fn repairs(&self, state: Option<JobState>) -> usize {
        let filter = JobFilter { operation: Some(OperationName::Repair), state, limit: 200, ..JobFilter::default() };
        self.app.jobs(None, &filter).await.unwrap().rows.len()
    }

    /// Stops, removes and forgets things of sites that lie far apart.
    fn harm(&self, sites: usize) {
        let mut state = self.world.state();
        for nth in 0..DRIFTS {
            // Of the half that wasn't there in the smaller world.
            let site = format!("s{}", sites / 2 + nth * (sites / 2 / DRIFTS));
            match nth % 4 {
                0 => state.containers.container_mut(&format!("php_{site}")).unwrap().state = ContainerState::Exited,
                1 => {
                    let name = format!("nginx_{site}");
                    state.containers.containers.retain(|_, container| container.spec.name != name);
                }
                2 => drop(state.proxy.snippets.remove(&format!("{site}.caddy")).unwrap()),
                _ => drop(state.databases.users.remove(&format!("wp_{site}")).unwrap()),
            }
        }
    }

    async fn measure(&self, sites: usize, making: Duration) -> Figures {
        self.come_to_rest().await;
        // Those of the smaller world.
        let repaired = self.repairs(None).await;
        let before = memory("VmRSS:");
        // From here on the peak counts.
        fs::write("/proc/self/clear_refs", "5").unwrap();
        let (mut walls, mut cpus, mut calls) = (Vec::new(), Vec::new(), usize::MAX);
        let (mut whole, asked) = (Duration::ZERO, self.asked());
        for _ in 0..SCANS {
            let (began, used, called) = (Instant::now(), cpu(), self.called());
            assert!(self.app.reconcile(false).await.unwrap());
            walls.push(began.elapsed());
            cpus.push(cpu().saturating_sub(used));
            // Deep scans of sites may have begun already.
            calls = calls.min(self.called() - called);
            self.come_to_rest().await;
            eprintln!("a scan after {:?}, then {} calls", walls[walls.len() - 1], self.called() - called);
            whole += cpu().saturating_sub(used);
        }
        let peak = memory("VmHWM:");
        let asking = self.asked().saturating_sub(asked) / u32::try_from(SCANS).unwrap();
        assert_eq!((self.app.drift().sites.len(), self.repairs(None).await), (0, repaired), "nothing was to be done");

        self.harm(sites);
        let began = Instant::now();
        assert!(self.app.reconcile(false).await.unwrap());
        let (planning, planned) = (began.elapsed(), self.repairs(None).await - repaired);
        eprintln!("{planned} planned");
        while self.repairs(Some(JobState::Completed)).await < repaired + planned {
            assert!(began.elapsed() < REPAIR_PATIENCE, "repairs don't complete");
            sleep(Duration::from_millis(5)).await;
        }
        let repairing = began.elapsed();
        self.come_to_rest().await;
        assert_eq!(self.app.drift().sites.len(), 0, "all is repaired");
        let whole = whole / u32::try_from(SCANS).unwrap();
        Figures { sites, making, walls, cpus, calls, whole, asking, before, peak, planning, planned, repairing }
    }
}

impl Figures {
    /// CPU of a tick without what only stands for other programs.
    const fn ours(&self) -> Duration {
        self.whole.saturating_sub(self.asking)
    }

    /// Memory of scans on top of the memory before, in KiB.
    const fn added(&self) -> usize {
        self.peak.saturating_sub(self.before)
    }
}

/// CPU time of this process.
fn cpu() -> Duration {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let used = tasks.filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok());
    let nanoseconds = used.filter_map(|text| text.split(' ').next()?.parse::<u64>().ok()).sum();
    Duration::from_nanos(nanoseconds)
}

/// A figure of this process's memory, in KiB.
fn memory(field: &str) -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

fn median(of: &[Duration]) -> Duration {
    let mut sorted = of.to_vec();
    sorted.sort();
    sorted[sorted.len() / 2]
}

fn verdict(is_met: bool) -> &'static str {
    if is_met { "met" } else { "**not met**" }
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let figures: Vec<Figures> = runtime.block_on(async {
        let installation = Installation::new().await;
        let (mut figures, mut there) = (Vec::new(), 0);
        for sites in SIZES {
            let making = installation.make(there, sites).await;
            there = sites;
            figures.push(installation.measure(sites, making).await);
        }
        figures
    });
    print(&figures);
}

fn print(figures: &[Figures]) {
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!("| | {} |", figures.iter().map(|f| format!("{} sites", f.sites)).collect::<Vec<_>>().join(" | "));
    println!("|---|{}", "---|".repeat(figures.len()));
    let row = |name: &str, value: &dyn Fn(&Figures) -> String| {
        println!("| {name} | {} |", figures.iter().map(value).collect::<Vec<_>>().join(" | "));
    };
    row("a full scan, median", &|f| format!("{:.0} ms", ms(median(&f.walls))));
    row("the same, longest", &|f| format!("{:.0} ms", ms(f.walls.iter().copied().max().unwrap_or_default())));
    row("CPU of a full scan, median", &|f| format!("**{:.0} ms**", ms(median(&f.cpus))));
    row("CPU of a tick: a full scan, and a deep scan of a sixtieth of the sites", &|f| {
        format!("**{:.0} ms**", ms(f.whole))
    });
    row("of that, the fakes' answers", &|f| format!("{:.0} ms", ms(f.asking)));
    row("outside calls of a full scan", &|f| f.calls.to_string());
    row("memory before, with the world in it", &|f| format!("{} MiB", f.before / 1024));
    row("memory at most", &|f| format!("{} MiB", f.peak / 1024));
    row("of that, for the scans", &|f| format!("**{} MiB**", f.added() / 1024));
    row("of 100 drifts planned when the scan had ended", &|f| f.planned.to_string());
    row("that scan, with the planning", &|f| format!("{:.0} ms", ms(f.planning)));
    row("from its begin to the end of the last repair", &|f| format!("{:.0} ms", ms(f.repairing)));
    row("making these sites", &|f| format!("{:.0} s", f.making.as_secs_f64()));
    let [small, large] = figures else { return };
    let growth = |of: fn(&Figures) -> Duration| of(large).as_secs_f64() / of(small).as_secs_f64();
    let (ours, whole) = (growth(Figures::ours), growth(|figures| figures.whole));
    let linear = f64::from(u32::try_from(large.sites / small.sites).unwrap_or(u32::MAX));
    println!();
    println!(
        "Targets, of {} sites: CPU of a tick at most 1.0 s: {}; memory at most 200 MB: {};",
        large.sites,
        verdict(large.whole <= Duration::from_secs(1)),
        verdict(large.added() * 1024 <= 200_000_000)
    );
    println!(
        "a constant number of calls: {}; {DRIFTS} drifts planned within the scan_interval: {}.",
        verdict(large.calls == small.calls),
        verdict(large.planned == DRIFTS)
    );
    println!(
        "Growth of a tick from {} to {} sites, without the fakes' answers: **{ours:.1}** times (target: at most \
         {linear:.0}: {});\nwith them {whole:.1} times.",
        small.sites,
        large.sites,
        verdict(ours <= linear)
    );
}
