//! Programs that end, by themselves or with their container. Only on a real Engine do they run at all.

use std::time::Duration;

use hostplane_infra::containers::ContainerState;
use hostplane_infra::error::EffectError;

use super::harness::{Harness, eventually, on_engine};

#[tokio::test]
async fn a_container_whose_program_ends_has_exited() {
    on_engine(async |harness: &Harness| {
        let mut spec = harness.spec("c");
        spec.command = vec!["true".to_owned()];
        let id = harness.create(&spec).await;
        harness.containers.start_container(&id).await.unwrap();
        eventually("it has ended", async || Ok(harness.state("c").await == Some(ContainerState::Exited))).await;
        harness.containers.stop_container(&id, 0).await.expect("stopped already");
        harness.containers.remove_container(&id).await.unwrap();
    })
    .await;
}

/// The result of the program is unknown; at most it is known that it was killed.
#[tokio::test]
async fn a_program_that_ends_with_its_container_has_an_unknown_outcome() {
    on_engine(async |harness: &Harness| {
        let id = harness.run("c").await;
        let program = ["php", "-r", "touch('/tmp/begun'); sleep(600);"];
        let removal = async {
            eventually(
                "the program runs",
                async || Ok(harness.exec(&id, &["cat", "/tmp/begun"], b"").await?.code == 0),
            )
            .await;
            harness.containers.remove_container(&id).await.unwrap();
        };
        let ended = tokio::time::timeout(Duration::from_secs(30), harness.exec(&id, &program, b""));
        let (ended, ()) = tokio::join!(ended, removal);
        match ended.expect("no wait for a program that is gone") {
            Err(EffectError::OutcomeUnknown { .. }) => {}
            Ok(output) => assert_eq!(output.code, 137, "{output:?}"),
            other => panic!("{other:?}"),
        }
    })
    .await;
}
