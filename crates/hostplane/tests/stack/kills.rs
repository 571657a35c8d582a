//! SIGKILL at every write of provisions, destroys and rollbacks: each ends as it should without help, and no visitor
//! of another site notices.

use std::time::Instant;

use crate::docker::docker;
use crate::instance::Instance;
use crate::killer::Killer;
use crate::probe::{Probe, Seen};

/// Moments of provisions and of destroys at which the control plane is to be killed, of 41 and 29 there are.
const OF_PROVISIONS: usize = 39;
const OF_DESTROYS: usize = 23;
/// Sites that are made and destroyed for it, at most.
const SITES: [&str; 10] = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
/// Of 26 there are.
const OF_WAYS_BACK: usize = 20;

/// Prints what a test reached: CI shows it.
fn report(what: &str, killer: &Killer, seen: &Seen, begun: Instant) {
    let (kills, boundaries) = (killer.kills, killer.boundaries.len());
    for boundary in &killer.boundaries {
        println!("{what}: killed at {boundary}");
    }
    println!("{what}: {kills} SIGKILLs at {boundaries} distinct moments; no job lost, no illegal state, no orphan");
    println!("{what}: {seen}");
    println!("{what}: {:?}; {} moments had no name, because two writes came at once", begun.elapsed(), killer.missed);
}

#[tokio::test]
async fn operations_survive_a_kill_at_every_write() {
    let begun = Instant::now();
    let mut instance = Instance::up();
    let bystander = instance.site("bystander");
    instance.create(&bystander);
    let probe = Probe::of(&instance, &bystander);
    let mut killer = Killer::of(&instance, &["provision", "destroy"]).await;

    // A moment that passed too fast is met by the next site.
    for name in SITES {
        let site = instance.site(name);
        killer.order(&instance, &[vec!["site", "create", &site]]).await;
        killer.see_through(&mut instance).await;
        instance.expect_whole(&site);
        killer.order(&instance, &[vec!["site", "destroy", &site, "--yes"]]).await;
        killer.see_through(&mut instance).await;
        assert_eq!(instance.traces_of(&site), Vec::<String>::new());
        if killer.reached("provision") >= OF_PROVISIONS && killer.reached("destroy") >= OF_DESTROYS {
            break;
        }
    }
    assert_eq!(instance.sites_outside(), [bystander.as_str()]);

    let seen = probe.end();
    report("provision, destroy", &killer, &seen, begun);
    seen.assert_unharmed(500);
    assert!(killer.reached("provision") >= OF_PROVISIONS);
    assert!(killer.reached("destroy") >= OF_DESTROYS);
    assert!(killer.boundaries.len() >= 60, "only {} moments", killer.boundaries.len());
    instance.expect_whole(&bystander);
}

#[tokio::test]
async fn rollbacks_survive_a_kill_at_every_write() {
    let begun = Instant::now();
    let mut instance = Instance::up();
    let bystander = instance.site("bystander");
    instance.create(&bystander);
    let probe = Probe::of(&instance, &bystander);
    // One moment of the way there too: then the way back waits until lost calls have landed.
    let mut killer = Killer::of(&instance, &["provision back", "route", "ensure php_container intended"]).await;

    // A foreign snippet serves these sites' host names.
    let sites = ["one", "two", "three"].map(|name| instance.site(name));
    let caddy = format!("{}-caddy", instance.tag);
    for site in &sites {
        let script = format!(
            "printf 'http://{site}.localhost {{\\n\\trespond \"mine\"\\n}}\\n' > /etc/caddy/sites/zz-{site}.caddy"
        );
        docker(&["exec", &caddy, "sh", "-c", &script]);
    }
    docker(&["exec", &caddy, "caddy", "reload", "--config", "/etc/caddy/Caddyfile", "--adapter", "caddyfile"]);

    let orders: Vec<_> = sites.iter().map(|site| vec!["site", "create", site.as_str()]).collect();
    killer.order(&instance, &orders).await;
    killer.see_through(&mut instance).await;
    for site in &sites {
        let job = instance.job(site);
        assert_eq!((&job["state"], &job["error"]["step"]), (&"failed".into(), &"route".into()), "{job:#}");
        assert_eq!(instance.done(&["site", "show", site, "--json"]).json()["status"], "FAILED");
        assert_eq!(instance.traces_of(site), [format!("snippet zz-{site}.caddy")]);
    }

    // The cause is removed for one of them: a retry makes it.
    docker(&["exec", &caddy, "rm", &format!("/etc/caddy/sites/zz-{}.caddy", sites[0])]);
    let failed = instance.job(&sites[0])["id"].as_str().expect("an id").to_owned();
    killer.order(&instance, &[vec!["job", "retry", &failed]]).await;
    killer.see_through(&mut instance).await;
    instance.expect_whole(&sites[0]);

    let mut living = [bystander.as_str(), &sites[0]];
    living.sort_unstable();
    assert_eq!(instance.sites_outside(), living);

    let seen = probe.end();
    report("turning back", &killer, &seen, begun);
    seen.assert_unharmed(300);
    assert!(killer.reached("provision back") >= OF_WAYS_BACK);
    instance.expect_whole(&bystander);
}
