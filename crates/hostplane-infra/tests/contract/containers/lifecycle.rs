//! Containers from their making to their end.

use futures_util::future::LocalBoxFuture;
use hostplane_domain::container::{ContainerSpec, VolumeMount};
use hostplane_infra::containers::{ContainerState, Exec, Scope};
use hostplane_infra::error::{Effect, EffectError, Rejection};

use super::harness::{Harness, eventually, file, invalid, mark, not_found, owner_of, rejected, transient};

pub async fn ping(harness: &Harness) {
    harness.containers.ping().await.unwrap();
}

pub async fn images(harness: &Harness) {
    let engine = &harness.containers;
    let built = engine.image(&harness.image).await.unwrap().expect("it is there").built.expect("it says when");
    let now = engine.about().await.unwrap().time.expect("the engine's time");
    assert!(built <= now, "built at {built}, and it is {now}");
    assert_eq!(engine.image("hostplane.test/no/such:image").await.unwrap(), None);
}

pub async fn made_and_listed(harness: &Harness) {
    let engine = &harness.containers;
    harness.network("n", 28).await;
    let mut spec = harness.spec("c");
    spec.network = Some(harness.name("n"));
    let id = harness.create(&spec).await;
    harness.create(&harness.spec("c-2")).await;

    let found = engine.containers(&Scope::Names(vec![spec.name.clone()])).await.unwrap();
    assert_eq!(found.len(), 1, "names are exact: {found:?}");
    assert_eq!((&found[0].id, &found[0].name, &found[0].image), (&id, &spec.name, &spec.image));
    assert_eq!((found[0].state, &found[0].networks), (ContainerState::Created, &vec![harness.name("n")]));
    // The image's labels are there too.
    for label in harness.labels() {
        assert_eq!(found[0].labels.get(&label.0), Some(&label.1));
    }
    assert_eq!(engine.containers(&harness.scope()).await.unwrap().len(), 2);
    assert!(engine.containers(&Scope::Names(Vec::new())).await.unwrap().is_empty());
    assert!(engine.containers(&Scope::All).await.unwrap().iter().any(|facts| facts.id == id));
    let pattern = Scope::Names(vec![format!("{}.c", harness.prefix)]);
    assert!(engine.containers(&pattern).await.unwrap().is_empty(), "names are no patterns");
}

pub async fn name_taken(harness: &Harness) {
    let id = harness.create(&harness.spec("c")).await;
    match rejected(harness.containers.create_container(&harness.spec("c"), &harness.labels()).await) {
        Rejection::NameTaken { what: "container", name, owner } => {
            assert_eq!(name, harness.name("c"));
            assert_eq!(owner, format!("another owner (container {})", &id[..12]));
        }
        other => panic!("{other:?}"),
    }
}

pub async fn name_taken_by_a_site(harness: &Harness) {
    let mark = mark();
    let labels = harness.labels().into_iter().chain(mark.to_labels()).collect();
    harness.containers.create_container(&harness.spec("c"), &labels).await.unwrap();
    let mut spec = harness.spec("c");
    spec.mounts.push(harness.mount("v", "/data"));
    match rejected(harness.containers.create_container(&spec, &labels).await) {
        Rejection::NameTaken { what: "container", owner, .. } => assert_eq!(owner, owner_of(&mark)),
        other => panic!("{other:?}"),
    }
    assert!(harness.containers.volumes(&harness.scope()).await.unwrap().is_empty(), "no volume was made in passing");
}

pub async fn bad_spec(harness: &Harness) {
    let good = || {
        let mut spec = harness.spec("c");
        spec.mounts.push(harness.mount("v", "/data"));
        spec
    };
    let named = |name: &str| ContainerSpec { name: name.to_owned(), ..good() };
    let mut small = good();
    small.limits.memory_mib = 5;
    let mut relative = good();
    relative.mounts.push(harness.mount("w", "data"));
    let mut nameless = good();
    nameless.mounts.push(VolumeMount { volume: String::new(), path: "/more".to_owned(), read_only: false });
    for spec in [named(""), named("a b"), named("a/b"), named("-a"), small, relative, nameless] {
        invalid(harness.containers.create_container(&spec, &harness.labels()).await);
        assert_eq!(harness.containers.containers(&harness.scope()).await.unwrap(), []);
        assert_eq!(harness.containers.volumes(&harness.scope()).await.unwrap(), [], "nothing is made: {spec:?}");
    }
}

/// Ids and references that nothing can have. Pasted into a request they could make another of it.
pub async fn bad_id(harness: &Harness) {
    let engine = &harness.containers;
    let exec = Exec { argv: vec!["true".to_owned()], user: None, stdin: bytes::Bytes::new() };
    for odd in ["", "a b", "..", "../volumes", "?x=y"] {
        invalid(engine.image(odd).await);
        invalid(engine.start_container(odd).await);
        invalid(engine.stop_container(odd, 0).await);
        invalid(engine.remove_container(odd).await);
        invalid(engine.upload(odd, "/tmp", &[file("a", "b")]).await);
        invalid(engine.download(odd, "/tmp").await);
        invalid(engine.exec(odd, &exec).await);
    }
}

/// While a container is on its way out, whatever is asked of it is refused for now.
pub async fn removal_in_progress(harness: &Harness) {
    let engine = &harness.containers;
    let exec = Exec { argv: vec!["true".to_owned()], user: None, stdin: bytes::Bytes::new() };
    let mut seen = false;
    for effort in [1, 4, 16] {
        let id = harness.run("c").await;
        harness.hands.begin_removal(&id, effort).await;
        let asks: [(&str, LocalBoxFuture<'_, Effect<()>>); 4] = [
            ("remove", Box::pin(engine.remove_container(&id))),
            ("start", Box::pin(engine.start_container(&id))),
            (
                "make",
                Box::pin(async { engine.create_container(&harness.spec("c"), &harness.labels()).await.map(drop) }),
            ),
            ("exec", Box::pin(async { engine.exec(&id, &exec).await.map(drop) })),
        ];
        for (what, ask) in asks {
            let before = harness.facts("c").await;
            let answer = ask.await;
            let after = harness.facts("c").await;
            // A real Engine may have ended in between.
            if [before, after].iter().flatten().filter(|facts| facts.state == ContainerState::Removing).count() == 2 {
                let words = transient(answer);
                assert!(!words.is_empty(), "{what}");
                seen = true;
            }
        }
        harness.hands.end_removal(&id).await;
        assert!(harness.facts("c").await.is_none_or(|facts| facts.id != id));
        if let Some(second) = harness.facts("c").await {
            engine.remove_container(&second.id).await.unwrap();
        }
        if seen {
            return;
        }
    }
    panic!("no removal took long enough to be seen");
}

pub async fn image_missing(harness: &Harness) {
    let mut spec = harness.spec("c");
    "hostplane.test/no/such:image".clone_into(&mut spec.image);
    let refused = rejected(harness.containers.create_container(&spec, &harness.labels()).await);
    assert_eq!(refused, Rejection::ImageMissing(spec.image));
    assert_eq!(harness.facts("c").await, None);
}

pub async fn network_missing(harness: &Harness) {
    let mut spec = harness.spec("c");
    spec.network = Some(harness.name("n"));
    let missing = not_found(harness.containers.create_container(&spec, &harness.labels()).await);
    assert_eq!(missing, format!("network {}", harness.name("n")));
    assert_eq!(harness.facts("c").await, None, "nothing is made");
}

pub async fn started_stopped_and_removed(harness: &Harness) {
    let engine = &harness.containers;
    let id = harness.create(&harness.spec("c")).await;
    engine.stop_container(&id, 0).await.expect("it never ran: stopped already");
    assert_eq!(harness.state("c").await, Some(ContainerState::Created));
    engine.start_container(&id).await.unwrap();
    engine.start_container(&id).await.expect("running already");
    assert_eq!(harness.state("c").await, Some(ContainerState::Running));
    engine.stop_container(&id, 0).await.unwrap();
    assert_eq!(harness.state("c").await, Some(ContainerState::Exited));
    engine.stop_container(&id, 0).await.expect("stopped already");
    engine.start_container(&id).await.expect("once more");
    engine.remove_container(&id).await.expect("a running container is killed");
    assert_eq!(harness.state("c").await, None);
    not_found(engine.remove_container(&id).await);
    eventually("the name is free", async || {
        engine.create_container(&harness.spec("c"), &harness.labels()).await.map(|second| second != id)
    })
    .await;
}

pub async fn absent_is_not_found(harness: &Harness) {
    let engine = &harness.containers;
    let id = "0123456789ab".repeat(5) + "0123";
    let named = format!("container {id}");
    assert_eq!(not_found(engine.start_container(&id).await), named);
    assert_eq!(not_found(engine.stop_container(&id, 0).await), named);
    assert_eq!(not_found(engine.remove_container(&id).await), named);
    assert_eq!(not_found(engine.upload(&id, "/tmp", &[file("a", "b")]).await), named);
    assert_eq!(not_found(engine.download(&id, "/tmp").await), named);
    let exec = Exec { argv: vec!["true".to_owned()], user: None, stdin: bytes::Bytes::new() };
    assert_eq!(not_found(engine.exec(&id, &exec).await), named);
    assert_eq!(not_found(engine.remove_network(&id).await), format!("network {id}"));
    assert_eq!(not_found(engine.remove_volume(&harness.name("v")).await), format!("volume {}", harness.name("v")));
}

pub async fn removed_twice_at_once(harness: &Harness) {
    let id = harness.run("c").await;
    let remove = || harness.containers.remove_container(&id);
    let (spec, labels) = (harness.spec("c"), harness.labels());
    let (one, two, made) = tokio::join!(remove(), remove(), harness.containers.create_container(&spec, &labels));
    for result in [one, two] {
        let fine = matches!(result, Ok(()) | Err(EffectError::NotFound(_) | EffectError::Transient { .. }));
        assert!(fine, "{result:?}");
    }
    // Until the Engine has killed it, the old one is listed like any that runs.
    let fine =
        matches!(made, Ok(_) | Err(EffectError::Transient { .. } | EffectError::Rejected(Rejection::NameTaken { .. })));
    assert!(fine, "{made:?}");
    eventually("the old one is gone", async || {
        Ok(harness.containers.containers(&harness.scope()).await?.iter().all(|facts| facts.id != id))
    })
    .await;
}

pub async fn port_taken(harness: &Harness) {
    let port = crate::port::free();
    // Without an address it is that of all.
    for (what, address, fits) in [("one", "", true), ("two", "127.0.0.1", false)] {
        harness.network(what, 28).await;
        let mut spec = harness.spec(what);
        spec.network = Some(harness.name(what));
        spec.publish = vec![(address.to_owned(), port, 80)];
        let id = harness.create(&spec).await;
        let started = harness.containers.start_container(&id).await;
        if fits {
            started.unwrap();
        } else {
            let error = started.unwrap_err();
            let EffectError::Rejected(Rejection::PortTaken(message)) = &error else { panic!("{error}") };
            // The words differ with what notices it first: the Engine's list of ports, or the kernel.
            let is_known = |words: &&str| message.contains(*words);
            assert!(["port is already allocated", "address already in use"].iter().any(is_known), "{error}");
        }
    }
}
