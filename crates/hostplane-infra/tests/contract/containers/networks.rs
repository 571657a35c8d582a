//! Networks.

use hostplane_domain::container::ContainerSpec;
use hostplane_infra::containers::{ContainerState, NetworkSpec, Scope};
use hostplane_infra::error::{EffectError, Rejection};
use ipnet::Ipv4Net;

use super::harness::{Harness, eventually, invalid, make_network, mark, not_found, owner_of, rejected, transient};

pub async fn made_listed_and_removed(harness: &Harness) {
    let engine = &harness.containers;
    let (id, subnet) = harness.network("n", 28).await;
    harness.network("n-2", 28).await;
    let named = async || engine.networks(&Scope::Names(vec![harness.name("n")])).await.unwrap();
    let found = named().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0].id, &found[0].name), (&id, &harness.name("n")));
    assert_eq!(found[0].labels, harness.labels());
    assert_eq!(found[0].subnets, [subnet]);
    assert_eq!(found[0].gateway, subnet.hosts().next());
    assert_eq!(engine.networks(&harness.scope()).await.unwrap().len(), 2);
    assert!(engine.networks(&Scope::Names(Vec::new())).await.unwrap().is_empty());
    assert!(engine.networks(&Scope::All).await.unwrap().contains(&found[0]));

    engine.remove_network(&id).await.unwrap();
    assert!(named().await.is_empty());
    not_found(engine.remove_network(&id).await);
}

pub async fn name_taken(harness: &Harness) {
    harness.network("n", 28).await;
    let spec = NetworkSpec { name: harness.name("n"), subnet: None, labels: harness.labels() };
    match rejected(harness.containers.create_network(&spec).await) {
        Rejection::NameTaken { what: "network", name, owner } => {
            assert_eq!(name, spec.name);
            assert!(owner.starts_with("another owner (network "), "{owner}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(harness.containers.networks(&harness.scope()).await.unwrap().len(), 1);
}

pub async fn name_taken_by_a_site(harness: &Harness) {
    let mark = mark();
    let labels = harness.labels().into_iter().chain(mark.to_labels()).collect();
    let (id, _) = make_network(&*harness.containers, &harness.name("n"), &labels, 28).await;
    let spec = NetworkSpec { name: harness.name("n"), subnet: None, labels };
    match rejected(harness.containers.create_network(&spec).await) {
        Rejection::NameTaken { what: "network", owner, .. } => assert_eq!(owner, owner_of(&mark)),
        other => panic!("{other:?}"),
    }
    harness.containers.remove_network(&id).await.unwrap();
}

pub async fn subnet_overlap(harness: &Harness) {
    let (_, subnet) = harness.network("n", 28).await;
    let larger = Ipv4Net::new(subnet.network(), 27).unwrap().trunc();
    let smaller = Ipv4Net::new(subnet.network(), 29).unwrap();
    for overlapping in [subnet, larger, smaller] {
        let spec = NetworkSpec { name: harness.name("n-2"), subnet: Some(overlapping), labels: harness.labels() };
        assert_eq!(rejected(harness.containers.create_network(&spec).await), Rejection::SubnetOverlap(overlapping));
    }
    assert_eq!(harness.containers.networks(&harness.scope()).await.unwrap().len(), 1);
}

pub async fn ambiguous_name(harness: &Harness) {
    let engine = &harness.containers;
    let (first, _) = harness.network("n", 28).await;
    let (spare, subnet) = harness.network("spare", 28).await;
    engine.remove_network(&spare).await.unwrap();
    let mut spec = harness.spec("c");
    spec.network = Some(harness.name("n"));
    let early = harness.create(&spec).await;
    harness.hands.second_network(&harness.name("n"), &harness.labels(), subnet).await;

    let found = engine.networks(&Scope::Names(vec![harness.name("n")])).await.unwrap();
    assert_eq!(found.len(), 2, "both are listed: {found:?}");
    let second = found.iter().map(|network| &network.id).find(|id| **id != first).expect("another id");
    // What is done by name can't be done any more, and nothing is done.
    let late = ContainerSpec { name: harness.name("late"), ..spec };
    invalid(engine.create_container(&late, &harness.labels()).await);
    assert_eq!(harness.facts("late").await, None);
    invalid(engine.start_container(&early).await);
    assert_eq!(harness.state("c").await, Some(ContainerState::Created));
    let named = NetworkSpec { name: harness.name("n"), subnet: None, labels: harness.labels() };
    let refusal = rejected(engine.create_network(&named).await);
    assert!(matches!(refusal, Rejection::NameTaken { what: "network", .. }), "{refusal:?}");
    // An id is none of the two names, and with one of them gone the name means the other.
    engine.remove_network(second).await.unwrap();
    engine.start_container(&early).await.unwrap();
    assert_eq!(harness.facts("c").await.unwrap().networks, [harness.name("n")]);
}

/// Ids that nothing can have.
pub async fn bad_id(harness: &Harness) {
    let id = harness.create(&harness.spec("c")).await;
    for odd in ["", "a b", "..", "../containers", "?x=y"] {
        invalid(harness.containers.remove_network(odd).await);
        invalid(harness.containers.connect(odd, &id).await);
        let spec = NetworkSpec { name: odd.to_owned(), subnet: None, labels: harness.labels() };
        invalid(harness.containers.create_network(&spec).await);
        let spec = ContainerSpec { network: Some(odd.to_owned()), ..harness.spec("d") };
        invalid(harness.containers.create_container(&spec, &harness.labels()).await);
    }
}

pub async fn active_endpoints(harness: &Harness) {
    let (network, _) = harness.network("n", 28).await;
    let mut spec = harness.spec("c");
    spec.network = Some(harness.name("n"));
    let id = harness.create(&spec).await;
    harness.containers.start_container(&id).await.unwrap();
    transient(harness.containers.remove_network(&network).await);
    harness.containers.remove_container(&id).await.unwrap();
    eventually("the network is let go", async || harness.containers.remove_network(&network).await.map(|()| true))
        .await;
}

pub async fn removed_under_a_stopped_container(harness: &Harness) {
    let (network, _) = harness.network("n", 28).await;
    let mut spec = harness.spec("c");
    spec.network = Some(harness.name("n"));
    let id = harness.create(&spec).await;
    harness.containers.remove_network(&network).await.expect("a container that doesn't run holds no network");
    assert_eq!(not_found(harness.containers.start_container(&id).await), format!("network {}", harness.name("n")));
    // One of the same name will do, until the container has run once.
    let (second, _) = harness.network("n", 28).await;
    harness.containers.start_container(&id).await.expect("names resolve at the first start");
    harness.containers.stop_container(&id, 0).await.unwrap();
    harness.containers.remove_network(&second).await.unwrap();
    harness.network("n", 28).await;
    assert_eq!(not_found(harness.containers.start_container(&id).await), format!("network {second}"));
}

pub async fn connect(harness: &Harness) {
    let engine = &harness.containers;
    harness.network("n", 28).await;
    let (second, _) = harness.network("n-2", 28).await;
    let (third, _) = harness.network("n-3", 28).await;
    let mut spec = harness.spec("c");
    spec.network = Some(harness.name("n"));
    let id = harness.create(&spec).await;
    not_found(engine.connect(&harness.name("none"), &id).await);
    not_found(engine.connect(&second, &harness.name("none")).await);
    engine.connect(&second, &id).await.unwrap();
    engine.connect(&second, &id).await.expect("connected already, before the start");
    engine.start_container(&id).await.unwrap();
    engine.connect(&second, &id).await.expect("connected already, while it runs");
    engine.connect(&third, &id).await.unwrap();
    engine.connect(&third, &id).await.expect("connected already, while it runs");
    let networks = harness.facts("c").await.unwrap().networks;
    assert_eq!(networks, [harness.name("n"), harness.name("n-2"), harness.name("n-3")]);
    transient(engine.remove_network(&third).await);
}

pub async fn connect_without_any_network(harness: &Harness) {
    let (network, _) = harness.network("n", 28).await;
    let id = harness.create(&harness.spec("c")).await;
    assert!(harness.facts("c").await.unwrap().networks.is_empty());
    invalid(harness.containers.connect(&network, &id).await);
}

pub async fn full(harness: &Harness) {
    // Two addresses: the gateway's and one more.
    harness.network("n", 30).await;
    for (what, fits) in [("one", true), ("two", false)] {
        let mut spec = harness.spec(what);
        spec.network = Some(harness.name("n"));
        let id = harness.create(&spec).await;
        let started = harness.containers.start_container(&id).await;
        if fits {
            started.unwrap();
        } else {
            let rejection = rejected(started);
            assert!(matches!(rejection, Rejection::Capacity(_)), "{rejection:?}");
        }
    }
}

pub async fn full_for_one_that_runs(harness: &Harness) {
    // Two addresses: the gateway's and one more.
    let (full, _) = harness.network("full", 30).await;
    harness.network("n", 28).await;
    let run = async |what: &str| {
        let mut spec = harness.spec(what);
        spec.network = Some(harness.name("n"));
        let id = harness.create(&spec).await;
        harness.containers.start_container(&id).await.unwrap();
        id
    };
    let (one, two) = (run("one").await, run("two").await);
    harness.containers.connect(&full, &one).await.unwrap();
    let rejection = rejected(harness.containers.connect(&full, &two).await);
    assert!(matches!(rejection, Rejection::Capacity(_)), "{rejection:?}");
    assert_eq!(harness.facts("two").await.unwrap().networks, [harness.name("n")], "nothing was done");
    harness.containers.stop_container(&one, 0).await.unwrap();
    eventually("the address comes free", async || match harness.containers.connect(&full, &two).await {
        Err(EffectError::Rejected(Rejection::Capacity(_))) => Ok(false),
        other => other.map(|()| true),
    })
    .await;
}
