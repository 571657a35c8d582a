//! Programs in containers.

use bytes::Bytes;
use hostplane_infra::containers::{EXEC_OUTPUT_LIMIT, Exec, LogLine, LogQuery, LogStream};

use super::harness::{Harness, eventually, invalid, not_found, transient};

pub async fn input_and_its_end(harness: &Harness) {
    let id = harness.run("c").await;
    // `cat` ends only when its input does.
    let output = harness.exec(&id, &["cat"], b"all of it\n").await.unwrap();
    assert_eq!((output.code, &output.stdout[..], &output.stderr[..]), (0, &b"all of it\n"[..], &b""[..]));
    let output = harness.exec(&id, &["cat"], b"").await.unwrap();
    assert_eq!((output.code, output.stdout.len()), (0, 0));
    let every_byte: Vec<u8> = (0..=255).collect();
    assert_eq!(&harness.exec(&id, &["cat"], &every_byte).await.unwrap().stdout[..], every_byte);
}

pub async fn exit_codes(harness: &Harness) {
    let id = harness.run("c").await;
    assert_eq!(harness.exec(&id, &["true"], b"").await.unwrap().code, 0);
    assert_eq!(harness.exec(&id, &["false"], b"").await.unwrap().code, 1);
}

pub async fn standard_error(harness: &Harness) {
    let id = harness.run("c").await;
    let output = harness.exec(&id, &["cat", "/no/such/file"], b"").await.unwrap();
    assert_eq!((output.code, output.stdout.len()), (1, 0));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "cat: /no/such/file: No such file or directory\n");
}

pub async fn output_is_cut(harness: &Harness) {
    let id = harness.run("c").await;
    let output = harness.exec(&id, &["head", "--bytes", "1000000", "/dev/zero"], b"").await.unwrap();
    assert_eq!((output.code, output.stdout.len()), (0, EXEC_OUTPUT_LIMIT));
    // More than fits into any buffer goes both ways at once.
    let input = vec![b'x'; 4 * EXEC_OUTPUT_LIMIT];
    let output = harness.exec(&id, &["cat"], &input).await.unwrap();
    assert_eq!((output.code, &output.stdout[..]), (0, &input[..EXEC_OUTPUT_LIMIT]));
}

pub async fn input_that_is_not_read(harness: &Harness) {
    let id = harness.run("c").await;
    let input = vec![b'x'; 4 * EXEC_OUTPUT_LIMIT];
    assert_eq!(harness.exec(&id, &["true"], &input).await.unwrap().code, 0);
}

pub async fn user(harness: &Harness) {
    let id = harness.run("c").await;
    let run = async |user: Option<&str>| {
        let argv = vec!["id".to_owned(), "--user".to_owned()];
        let exec = Exec { argv, user: user.map(str::to_owned), stdin: Bytes::new() };
        harness.containers.exec(&id, &exec).await.unwrap().stdout
    };
    assert_eq!(&run(None).await[..], b"33\n", "the container's own");
    assert_eq!(&run(Some("1234:1234")).await[..], b"1234\n");
}

pub async fn cannot_be_started(harness: &Harness) {
    let id = harness.run("c").await;
    let output = harness.exec(&id, &["no-such-program"], b"").await.unwrap();
    assert_eq!(output.code, 126);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("executable file not found"), "{said}");
    invalid(harness.exec(&id, &[], b"").await);
}

pub async fn not_running(harness: &Harness) {
    let id = harness.create(&harness.spec("c")).await;
    transient(harness.exec(&id, &["true"], b"").await);
    harness.containers.start_container(&id).await.unwrap();
    harness.exec(&id, &["true"], b"").await.unwrap();
    harness.containers.stop_container(&id, 0).await.unwrap();
    transient(harness.exec(&id, &["true"], b"").await);
}

const ALL: LogQuery = LogQuery { newest: 100, after: None };

/// Has the container's own program print something.
async fn print(harness: &Harness, id: &str, file: &str, text: &str) {
    let printed = harness.exec(id, &["tee", file], text.as_bytes()).await.unwrap();
    assert_eq!(printed.code, 0, "{printed:?}");
}

/// The lines, once there are so many: the Engine reads what was printed a moment later.
async fn lines(harness: &Harness, id: &str, ask: LogQuery, count: usize) -> Vec<LogLine> {
    let found = async || harness.containers.log(id, ask).await;
    eventually("so many lines", async || Ok(found().await?.len() == count)).await;
    found().await.unwrap()
}

fn texts(lines: &[LogLine]) -> Vec<&[u8]> {
    lines.iter().map(|line| &line.text[..]).collect()
}

pub async fn log(harness: &Harness) {
    let id = harness.create(&harness.spec("c")).await;
    assert_eq!(harness.containers.log(&id, ALL).await.unwrap(), [], "it has never run");
    harness.containers.start_container(&id).await.unwrap();
    print(harness, &id, "/proc/1/fd/1", "one\n\u{1b}[31mtwo  words\n\n").await;
    let found = lines(harness, &id, ALL, 3).await;
    assert_eq!(texts(&found), [&b"one"[..], b"\x1b[31mtwo  words", b""]);
    print(harness, &id, "/proc/1/fd/2", "trouble\n").await;
    let found = lines(harness, &id, ALL, 4).await;
    assert_eq!((found[0].stream, found[3].stream), (LogStream::Stdout, LogStream::Stderr));
    assert!(found.is_sorted_by(|one, next| one.at < next.at), "{found:?}");
    assert_eq!(texts(&lines(harness, &id, LogQuery { newest: 2, after: None }, 2).await), [&b""[..], b"trouble"]);
    for (n, line) in found.iter().enumerate() {
        let rest = lines(harness, &id, LogQuery { after: Some(line.at), ..ALL }, 3 - n).await;
        assert_eq!(rest, found[n + 1..], "what was written after a line");
    }
    harness.containers.stop_container(&id, 0).await.unwrap();
    assert_eq!(harness.containers.log(&id, ALL).await.unwrap(), found, "it is kept when the program ends");
    harness.containers.remove_container(&id).await.unwrap();
    not_found(harness.containers.log(&id, ALL).await);
}
