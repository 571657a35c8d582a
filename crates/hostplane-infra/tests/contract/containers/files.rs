//! Files into containers and out of them.

use bytes::Bytes;
use hostplane_infra::containers::{ARCHIVE_LIMIT, ArchiveEntry};

use super::harness::{Harness, contents, file, invalid, not_found, unknown};

fn text(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|&(path, contents)| (path.to_owned(), contents.to_owned())).collect()
}

fn directory(path: &str, mode: u32, uid: u32) -> ArchiveEntry {
    ArchiveEntry { path: path.to_owned(), mode, uid, contents: None }
}

/// A container with the volume `v` at `/data`.
async fn with_volume(harness: &Harness, what: &str) -> String {
    let mut spec = harness.spec(what);
    spec.mounts.push(harness.mount("v", "/data"));
    harness.create(&spec).await
}

/// The same, running.
async fn run_with_volume(harness: &Harness) -> String {
    let id = with_volume(harness, "c").await;
    harness.containers.start_container(&id).await.unwrap();
    id
}

pub async fn come_back(harness: &Harness) {
    let engine = &harness.containers;
    let id = with_volume(harness, "c").await;
    let mut secret = file("sub/secret", "s3cret");
    (secret.mode, secret.uid) = (0o400, 33);
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(120));
    let entries =
        [directory("sub", 0o750, 33), secret.clone(), file("b", "two"), file("empty", ""), file(&long, "deep")];
    engine.upload(&id, "/data", &entries).await.unwrap();

    let files = engine.download(&id, "/data").await.unwrap();
    assert!(files.contains(&secret), "mode and owner are kept: {files:?}");
    let expected = text(&[("b", "two"), (&long, "deep"), ("empty", ""), ("sub/secret", "s3cret")]);
    assert_eq!(contents(files), expected);
    assert_eq!(contents(engine.download(&id, "/data/sub").await.unwrap()), text(&[("secret", "s3cret")]));

    engine.upload(&id, "/data/sub/", &[file("secret", "new")]).await.unwrap();
    assert_eq!(contents(engine.download(&id, "/data/sub/").await.unwrap()), text(&[("secret", "new")]));
    engine.upload(&id, "/", &[file("data/b", "from above")]).await.unwrap();
    let files = contents(engine.download(&id, "/data").await.unwrap());
    assert!(files.contains(&("b".to_owned(), "from above".to_owned())), "{files:?}");
}

pub async fn are_written_before_the_first_start(harness: &Harness) {
    let id = with_volume(harness, "c").await;
    harness.containers.upload(&id, "/data", &[file("a", "one")]).await.unwrap();
    harness.containers.start_container(&id).await.unwrap();
    let output = harness.exec(&id, &["cat", "/data/a"], b"").await.unwrap();
    assert_eq!((output.code, &output.stdout[..]), (0, &b"one"[..]));
}

pub async fn belong_to_the_volume(harness: &Harness) {
    let first = with_volume(harness, "c").await;
    harness.containers.upload(&first, "/data", &[file("a", "one")]).await.unwrap();
    harness.containers.upload(&first, "/tmp", &[file("mine", "gone")]).await.unwrap();
    harness.containers.remove_container(&first).await.unwrap();
    let second = with_volume(harness, "c-2").await;
    assert_eq!(contents(harness.containers.download(&second, "/data").await.unwrap()), text(&[("a", "one")]));
    let files = contents(harness.containers.download(&second, "/tmp").await.unwrap());
    assert!(files.iter().all(|(path, _)| path != "mine"), "{files:?}");
}

pub async fn root_of_a_volume(harness: &Harness) {
    let mut spec = harness.spec("c");
    spec.mounts.push(harness.mount("v", "/hostplane/data"));
    let id = harness.create(&spec).await;
    // Its own entry can't be written from inside, only from the directory above.
    let root = directory("data", 0o2750, 33);
    harness.containers.upload(&id, "/hostplane", &[root, file("data/a", "one")]).await.unwrap();
    harness.containers.start_container(&id).await.unwrap();
    let output = harness.exec(&id, &["stat", "--format", "%a %u", "/hostplane/data"], b"").await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "2750 33\n");
    let output = harness.exec(&id, &["cat", "/hostplane/data/a"], b"").await.unwrap();
    assert_eq!(&output.stdout[..], b"one");
}

pub async fn directory_missing(harness: &Harness) {
    let id = with_volume(harness, "c").await;
    let missing = format!("/data/none in container {id}");
    assert_eq!(not_found(harness.containers.upload(&id, "/data/none", &[file("a", "one")]).await), missing);
    // The real Engine is asked for what is in the directory, and names that.
    assert!(not_found(harness.containers.download(&id, "/data/none").await).starts_with("/data/none"));
}

pub async fn directory_is_a_file(harness: &Harness) {
    let id = with_volume(harness, "c").await;
    harness.containers.upload(&id, "/data", &[file("a", "one")]).await.unwrap();
    invalid(harness.containers.upload(&id, "/data/a", &[file("b", "two")]).await);
    invalid(harness.containers.download(&id, "/data/a").await);
}

pub async fn one_by_one(harness: &Harness) {
    let id = with_volume(harness, "c").await;
    let entries = [file("a", "one"), file("sub/a", "two")];
    harness.containers.upload(&id, "/data", &entries).await.unwrap();
    let read = async |path| harness.containers.download_file(&id, path).await;
    for (path, contents) in [("/data/a", "one"), ("/data/sub/a", "two")] {
        let found = read(path).await.unwrap().unwrap();
        assert_eq!((found.path.as_str(), found.contents.as_deref()), (path, Some(contents.as_bytes())));
    }
    assert_eq!(read("/data/sub").await.unwrap(), None, "a directory is no file");
    assert!(not_found(read("/data/none").await).starts_with("/data/none"));
    assert!(not_found(read("/data/none/a").await).starts_with("/data/none/a"));
    for path in ["", "data/a", "/data/../data/a", "/data/a/", "/"] {
        invalid(read(path).await);
    }
}

pub async fn read_only(harness: &Harness) {
    let mut spec = harness.spec("c");
    spec.read_only_root = true;
    spec.mounts = vec![harness.mount("v", "/data"), harness.mount("settings", "/settings")];
    spec.mounts[1].read_only = true;
    let id = harness.create(&spec).await;
    let write = async |dir| harness.containers.upload(&id, dir, &[file("a", "s3cret")]).await;
    for dir in ["/settings", "/etc", "/"] {
        let message = invalid(write(dir).await);
        assert!(message.contains("read-only") && !message.contains("s3cret"), "{message}");
    }
    write("/data").await.unwrap();
    assert!(harness.containers.download(&id, "/settings").await.unwrap().is_empty());
}

pub async fn bad_paths(harness: &Harness) {
    let id = with_volume(harness, "c").await;
    for path in ["", ".", "..", "../x", "a/../../x", "/x", "a//b", "a/."] {
        let message = invalid(harness.containers.upload(&id, "/data", &[file("ok", "1"), file(path, "s3cret")]).await);
        assert!(!message.contains("s3cret"), "{message}");
    }
    for dir in ["data", "", "/data/../etc"] {
        invalid(harness.containers.upload(&id, dir, &[file("a", "one")]).await);
        invalid(harness.containers.download(&id, dir).await);
    }
    assert!(
        harness.containers.download(&id, "/data").await.unwrap().is_empty(),
        "all is checked before any is written"
    );
}

pub async fn too_many_bytes(harness: &Harness) {
    let id = with_volume(harness, "c").await;
    let large = ArchiveEntry { contents: Some(Bytes::from(vec![0; ARCHIVE_LIMIT + 1])), ..file("large", "") };
    harness.containers.upload(&id, "/data", &[large]).await.unwrap();
    invalid(harness.containers.download(&id, "/data").await);
}

pub async fn are_written_again(harness: &Harness) {
    let id = run_with_volume(harness).await;
    let entries = [directory("sub", 0o750, 33), file("sub/a", "one"), file("b", "two")];
    for _ in 0..2 {
        harness.containers.upload(&id, "/data", &entries).await.unwrap();
        let files = harness.containers.download(&id, "/data").await.unwrap();
        assert_eq!(contents(files), text(&[("b", "two"), ("sub/a", "one")]), "running or not");
    }
}

pub async fn take_each_others_place(harness: &Harness) {
    let id = with_volume(harness, "c").await;
    let engine = &harness.containers;
    let after = async |entries: &[ArchiveEntry]| {
        engine.upload(&id, "/data", entries).await.unwrap();
        contents(engine.download(&id, "/data").await.unwrap())
    };
    let nested = [directory("x", 0o755, 0), file("x/deep", "one")];
    assert_eq!(after(&nested).await, text(&[("x/deep", "one")]));
    assert_eq!(after(&[file("x", "flat")]).await, text(&[("x", "flat")]));
    assert_eq!(after(&nested).await, text(&[("x/deep", "one")]));
}

/// Entries before the one that can't be written are there, so the outcome is unknown.
pub async fn written_in_part(harness: &Harness) {
    let mut spec = harness.spec("c");
    spec.mounts = vec![harness.mount("v", "/data"), harness.mount("settings", "/settings")];
    spec.mounts[1].read_only = true;
    let id = harness.create(&spec).await;
    let entries = [file("data/a", "one"), file("settings/a", "s3cret")];
    let words = unknown(harness.containers.upload(&id, "/", &entries).await);
    assert!(words.contains("read-only") && !words.contains("s3cret"), "{words}");
    assert_eq!(contents(harness.containers.download(&id, "/data").await.unwrap()), text(&[("a", "one")]));
    assert!(harness.containers.download(&id, "/settings").await.unwrap().is_empty());
}
