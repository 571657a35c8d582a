//! Containers from their making to their end.

use futures_util::future::LocalBoxFuture;
use hostplane_domain::container::{ContainerSpec, VolumeMount};
use hostplane_infra::containers::{ContainerState, Exec, Scope};
use hostplane_infra::error::{Effect, EffectError, Rejection};

use super::bed::{Bed, eventually, file, invalid, mark, not_found, owner_of, rejected, transient};

pub async fn ping(bed: &Bed) {
    bed.containers.ping().await.unwrap();
}

pub async fn images(bed: &Bed) {
    assert!(bed.containers.image_exists(&bed.image).await.unwrap());
    assert!(!bed.containers.image_exists("hostplane.test/no/such:image").await.unwrap());
}

pub async fn made_and_listed(bed: &Bed) {
    let engine = &bed.containers;
    bed.network("n", 28).await;
    let mut spec = bed.spec("c");
    spec.network = Some(bed.name("n"));
    let id = bed.create(&spec).await;
    bed.create(&bed.spec("c-2")).await;

    let found = engine.containers(&Scope::Names(vec![spec.name.clone()])).await.unwrap();
    assert_eq!(found.len(), 1, "names are exact: {found:?}");
    assert_eq!((&found[0].id, &found[0].name, &found[0].image), (&id, &spec.name, &spec.image));
    assert_eq!((found[0].state, &found[0].networks), (ContainerState::Created, &vec![bed.name("n")]));
    // The image's labels are there too.
    for label in bed.labels() {
        assert_eq!(found[0].labels.get(&label.0), Some(&label.1));
    }
    assert_eq!(engine.containers(&bed.scope()).await.unwrap().len(), 2);
    assert!(engine.containers(&Scope::Names(Vec::new())).await.unwrap().is_empty());
    assert!(engine.containers(&Scope::All).await.unwrap().iter().any(|facts| facts.id == id));
    let pattern = Scope::Names(vec![format!("{}.c", bed.prefix)]);
    assert!(engine.containers(&pattern).await.unwrap().is_empty(), "names are no patterns");
}

pub async fn name_taken(bed: &Bed) {
    let id = bed.create(&bed.spec("c")).await;
    match rejected(bed.containers.create_container(&bed.spec("c"), &bed.labels()).await) {
        Rejection::NameTaken { what: "container", name, owner } => {
            assert_eq!(name, bed.name("c"));
            assert_eq!(owner, format!("somebody else (container {})", &id[..12]));
        }
        other => panic!("{other:?}"),
    }
}

pub async fn name_taken_by_a_site(bed: &Bed) {
    let mark = mark();
    let labels = bed.labels().into_iter().chain(mark.to_labels()).collect();
    bed.containers.create_container(&bed.spec("c"), &labels).await.unwrap();
    let mut spec = bed.spec("c");
    spec.mounts.push(bed.mount("v", "/data"));
    match rejected(bed.containers.create_container(&spec, &labels).await) {
        Rejection::NameTaken { what: "container", owner, .. } => assert_eq!(owner, owner_of(&mark)),
        other => panic!("{other:?}"),
    }
    assert!(bed.containers.volumes(&bed.scope()).await.unwrap().is_empty(), "no volume was made in passing");
}

pub async fn bad_spec(bed: &Bed) {
    let good = || {
        let mut spec = bed.spec("c");
        spec.mounts.push(bed.mount("v", "/data"));
        spec
    };
    let named = |name: &str| ContainerSpec { name: name.to_owned(), ..good() };
    let mut small = good();
    small.limits.memory_mib = 5;
    let mut relative = good();
    relative.mounts.push(bed.mount("w", "data"));
    let mut nameless = good();
    nameless.mounts.push(VolumeMount { volume: String::new(), path: "/more".to_owned(), read_only: false });
    for spec in [named(""), named("a b"), named("a/b"), named("-a"), small, relative, nameless] {
        invalid(bed.containers.create_container(&spec, &bed.labels()).await);
        assert_eq!(bed.containers.containers(&bed.scope()).await.unwrap(), []);
        assert_eq!(bed.containers.volumes(&bed.scope()).await.unwrap(), [], "nothing is made: {spec:?}");
    }
}

/// Ids and references that nothing can have. Pasted into a request they could make another of it.
pub async fn bad_id(bed: &Bed) {
    let engine = &bed.containers;
    let exec = Exec { argv: vec!["true".to_owned()], user: None, stdin: bytes::Bytes::new() };
    for odd in ["", "a b", "..", "../volumes", "?x=y"] {
        invalid(engine.image_exists(odd).await);
        invalid(engine.start_container(odd).await);
        invalid(engine.stop_container(odd, 0).await);
        invalid(engine.remove_container(odd).await);
        invalid(engine.upload(odd, "/tmp", &[file("a", "b")]).await);
        invalid(engine.download(odd, "/tmp").await);
        invalid(engine.exec(odd, &exec).await);
    }
}

/// While a container is on its way out, whatever is asked of it is refused for now.
pub async fn removal_in_progress(bed: &Bed) {
    let engine = &bed.containers;
    let exec = Exec { argv: vec!["true".to_owned()], user: None, stdin: bytes::Bytes::new() };
    let mut seen = false;
    for effort in [1, 4, 16] {
        let id = bed.run("c").await;
        bed.hands.begin_removal(&id, effort).await;
        let asks: [(&str, LocalBoxFuture<'_, Effect<()>>); 4] = [
            ("remove", Box::pin(engine.remove_container(&id))),
            ("start", Box::pin(engine.start_container(&id))),
            ("make", Box::pin(async { engine.create_container(&bed.spec("c"), &bed.labels()).await.map(drop) })),
            ("exec", Box::pin(async { engine.exec(&id, &exec).await.map(drop) })),
        ];
        for (what, ask) in asks {
            let before = bed.facts("c").await;
            let answer = ask.await;
            let after = bed.facts("c").await;
            // A real Engine may have ended in between.
            if [before, after].iter().flatten().filter(|facts| facts.state == ContainerState::Removing).count() == 2 {
                let words = transient(answer);
                assert!(!words.is_empty(), "{what}");
                seen = true;
            }
        }
        bed.hands.end_removal(&id).await;
        assert!(bed.facts("c").await.is_none_or(|facts| facts.id != id));
        if let Some(second) = bed.facts("c").await {
            engine.remove_container(&second.id).await.unwrap();
        }
        if seen {
            return;
        }
    }
    panic!("no removal took long enough to be seen");
}

pub async fn image_missing(bed: &Bed) {
    let mut spec = bed.spec("c");
    "hostplane.test/no/such:image".clone_into(&mut spec.image);
    let refused = rejected(bed.containers.create_container(&spec, &bed.labels()).await);
    assert_eq!(refused, Rejection::ImageMissing(spec.image));
    assert_eq!(bed.facts("c").await, None);
}

pub async fn network_missing(bed: &Bed) {
    let mut spec = bed.spec("c");
    spec.network = Some(bed.name("n"));
    let missing = not_found(bed.containers.create_container(&spec, &bed.labels()).await);
    assert_eq!(missing, format!("network {}", bed.name("n")));
    assert_eq!(bed.facts("c").await, None, "nothing is made");
}

pub async fn started_stopped_and_removed(bed: &Bed) {
    let engine = &bed.containers;
    let id = bed.create(&bed.spec("c")).await;
    engine.stop_container(&id, 0).await.expect("it never ran: stopped already");
    assert_eq!(bed.state("c").await, Some(ContainerState::Created));
    engine.start_container(&id).await.unwrap();
    engine.start_container(&id).await.expect("running already");
    assert_eq!(bed.state("c").await, Some(ContainerState::Running));
    engine.stop_container(&id, 0).await.unwrap();
    assert_eq!(bed.state("c").await, Some(ContainerState::Exited));
    engine.stop_container(&id, 0).await.expect("stopped already");
    engine.start_container(&id).await.expect("once more");
    engine.remove_container(&id).await.expect("a running container is killed");
    assert_eq!(bed.state("c").await, None);
    not_found(engine.remove_container(&id).await);
    eventually("the name is free", async || {
        engine.create_container(&bed.spec("c"), &bed.labels()).await.map(|second| second != id)
    })
    .await;
}

pub async fn absent_is_not_found(bed: &Bed) {
    let engine = &bed.containers;
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
    assert_eq!(not_found(engine.remove_volume(&bed.name("v")).await), format!("volume {}", bed.name("v")));
}

pub async fn removed_twice_at_once(bed: &Bed) {
    let id = bed.run("c").await;
    let remove = || bed.containers.remove_container(&id);
    let (spec, labels) = (bed.spec("c"), bed.labels());
    let (one, two, made) = tokio::join!(remove(), remove(), bed.containers.create_container(&spec, &labels));
    for result in [one, two] {
        let fine = matches!(result, Ok(()) | Err(EffectError::NotFound(_) | EffectError::Transient { .. }));
        assert!(fine, "{result:?}");
    }
    // Until the Engine has killed it, the old one still looks like any that runs.
    let fine =
        matches!(made, Ok(_) | Err(EffectError::Transient { .. } | EffectError::Rejected(Rejection::NameTaken { .. })));
    assert!(fine, "{made:?}");
    eventually("the old one is gone", async || {
        Ok(bed.containers.containers(&bed.scope()).await?.iter().all(|facts| facts.id != id))
    })
    .await;
}

pub async fn port_taken(bed: &Bed) {
    let port = crate::port::free();
    for (what, fits) in [("one", true), ("two", false)] {
        bed.network(what, 28).await;
        let mut spec = bed.spec(what);
        spec.network = Some(bed.name(what));
        spec.publish = vec![("127.0.0.1".to_owned(), port, 80)];
        let id = bed.create(&spec).await;
        let started = bed.containers.start_container(&id).await;
        if fits {
            started.unwrap();
        } else {
            let error = started.unwrap_err();
            let taken = matches!(&error, EffectError::Rejected(Rejection::PortTaken(message)) if message.contains("port is already allocated"));
            assert!(taken, "{error}");
        }
    }
}
