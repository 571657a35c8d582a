//! The Docker Engine ends in the middle of an operation and comes back: everything converges without a hand.

use std::time::Instant;

use crate::instance::{Instance, images};
use crate::journal::Journal;
use crate::own_engine::OwnEngine;

/// The Engine's end, and the write of a provision and of a destroy from which it is tried.
const CASES: [(&str, &str, &str); 2] = [
    ("KILL", "ensure php_container intended", "remove php_container intended"),
    ("TERM", "ensure wordpress_files intended", "remove network intended"),
];

#[tokio::test]
async fn operations_outlive_the_engine() {
    let begun = Instant::now();
    let images: Vec<String> = images().into_values().collect();
    let mut engine = OwnEngine::with(&images);
    println!("Engine: its own Engine is there after {:?}", begun.elapsed());
    let mut instance = Instance::on(&engine, &[]);
    instance.start();
    let bystander = instance.site("bystander");
    instance.create(&bystander);
    for (signal, at_provision, at_destroy) in CASES {
        let site = instance.site(&signal.to_lowercase());
        outlive(&instance, &mut engine, signal, at_provision, &["site", "create", &site]).await;
        instance.expect_whole(&site);
        instance.expect_whole(&bystander);
        outlive(&instance, &mut engine, signal, at_destroy, &["site", "destroy", &site, "--yes"]).await;
        assert_eq!(instance.traces_of(&site), Vec::<String>::new());
        instance.expect_whole(&bystander);
    }
    println!("Engine: {} operations outlived it in {:?}", 2 * CASES.len(), begun.elapsed());
}

/// Gives an order, ends the Engine at a moment of its job, and starts it again once the job waits for it.
async fn outlive(instance: &Instance, engine: &mut OwnEngine, signal: &str, moment: &str, order: &[&str]) {
    let mut journal = Journal::open(&instance.database()).await;
    journal.order_up_to(instance, order, moment).await;
    let id = instance.newest_job_when(|_| true)["id"].as_str().expect("an id").to_owned();
    if signal == "KILL" {
        engine.end(signal);
        journal.release().await;
    } else {
        // In order it takes its time, longer than the journal may be held.
        journal.release().await;
        engine.end(signal);
    }
    journal.close().await;
    let begun = Instant::now();
    let job = instance.job_of_id_when(&id, |job| !job["waiting_for"].is_null() || job["state"] == "completed");
    assert_eq!(job["state"], "pending", "at {moment}: {job:#}");
    engine.start();
    let job = instance.job_of_id_when(&id, |job| job["state"] != "pending" && job["state"] != "running");
    assert_eq!(job["state"], "completed", "at {moment}: {job:#}");
    println!("Engine: SIG{signal} at {moment}: attempt {}, {:?}", job["attempt"], begun.elapsed());
}
